"""The running service does what its OpenAPI document says: schemathesis sends what fits it, and what does not."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

# a URL that is none, and an "after" that no link has, fit the document, and are refused by what it cannot say
CHECKS = "--exclude-checks=positive_data_acceptance"
OPTIONS = ("--max-examples=8", "--seed=1", "--phases=coverage,fuzzing", "--mode=all", "--no-color", CHECKS)


def test_the_service_does_what_its_document_says(make_service, tmp_path):
    """With two workers, answers to good and to bad data have status, media type and schema as told; none is a 500."""
    service = make_service()
    service.start()
    pids = service.pids()
    document = f"http://127.0.0.1:{service.port}/openapi.json"
    command = [sys.executable, "-m", "schemathesis.cli", "run", document, *OPTIONS]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert service.pids() == pids
    assert service.stop() == 0
    assert "request failed" not in service.log()
