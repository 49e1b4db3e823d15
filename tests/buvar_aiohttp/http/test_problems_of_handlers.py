"""Problems with faults that a handler found itself."""

import pytest

from buvar_aiohttp import http


@pytest.mark.parametrize(
    ("faults", "detail"),
    [
        ([http.Fault("query", "it is too large", "size")], "query parameter 'size': it is too large"),
        ([http.Fault("body", "it is no URL", path="$.url")], "$.url: it is no URL"),
        ([http.Fault("body", "it is no picture")], "the body: it is no picture"),
        ([http.Fault("query", "it is too large", "size")] * 2, "the request does not fit"),
        ([], None),
    ],
)
def test_a_fault_that_is_alone_is_the_detail(faults, detail):
    """A problem with one fault, and no detail of its own, says that fault, as those of the framework do."""
    problem = http.Problem(422, errors=faults)
    assert problem.document().get("detail") == detail
    assert http.Problem(422, "no", errors=faults).detail == "no"
