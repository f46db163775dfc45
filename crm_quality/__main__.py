"""`python -m crm_quality` is the console command."""

from crm_quality.cli import main

main()
