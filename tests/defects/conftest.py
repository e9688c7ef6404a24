"""The scenarios' assertions are shown as those of tests are."""

import pytest

pytest.register_assert_rewrite(
    "tests.defects.following", "tests.defects.many", "tests.defects.truth"
)
