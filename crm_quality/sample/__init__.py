"""The extracts of a sample company and the truth about them. Not here: anything the pipeline reads from."""

from crm_quality.sample.company import SampleSummary, generate
from crm_quality.sample.dirt import DirtRates

__all__ = ["DirtRates", "SampleSummary", "generate"]
