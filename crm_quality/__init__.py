"""The nightly batch that makes a company's CRM tell the truth."""

from importlib.metadata import version

__version__ = version("crm-quality")
