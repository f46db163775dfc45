"""The seam to Spark. Belongs here: golden and mart models as Spark SQL. Does not: what they compute."""

import pytest
import sqlglot
from sqlglot import ErrorLevel

from crm_quality.sql_model import SqlModel, load_models

MODELS = [model for model in load_models() if model.schema in ("golden", "marts")]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_model_can_be_written_in_spark_sql(model: SqlModel) -> None:
    (spark,) = sqlglot.transpile(model.sql, read="duckdb", write="spark", unsupported_level=ErrorLevel.RAISE)
    assert sqlglot.parse_one(spark, read="spark")


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_a_model_describes_itself_and_every_column(model: SqlModel) -> None:
    assert model.description
    assert list(model.column_notes) == model.query.named_selects
