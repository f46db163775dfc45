"""Small scenarios learn their weights like large companies; what holds for the small is in test_typical.py."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="package", autouse=True)
def learnt_from_few_records() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crm_quality.identity.training.FEW_RECORDS", 0)
        patch.setattr("crm_quality.identity.pairs.FEW_RECORDS", 0)
        yield
