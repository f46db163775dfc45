"""Assemble the Dagster definitions of the project in CRM_QUALITY_PROJECT (default: data). Does nothing else."""

import os
from pathlib import Path

import dagster as dg

from crm_quality.assets.pipeline import build_definitions
from crm_quality.project import open_project


@dg.definitions
def defs() -> dg.Definitions:
    """What the Dagster web server and daemon load."""
    return build_definitions(open_project(Path(os.environ.get("CRM_QUALITY_PROJECT", "data"))))
