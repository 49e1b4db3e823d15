"""The documentation is run: each page in a process and a folder of its own, its Python blocks in one namespace."""

import pathlib
import re

import pytest

from buvar import diagnostic

ROOT = pathlib.Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

# the namespace is that of a real module, so that classes and annotations of a page resolve as in a file
RUN = """
import pathlib, sys, types
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

page = pathlib.Path(sys.argv[1])
document = Sybil(parsers=[PythonCodeBlockParser()], path=str(page.parent)).parse(page)
module = sys.modules["page"] = types.ModuleType("page")
document.namespace = module.__dict__
for example in document.examples():
    example.evaluate()
"""


@pytest.fixture
def run_page(forks):
    """Run a page in a folder."""
    return lambda page, folder: forks.run(RUN, page, cwd=folder, strict=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_does_what_it_says(run_page, page, tmp_path):
    """The Python blocks of the page run from top to bottom without an error or a warning."""
    done = run_page(page, tmp_path)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("code", ["assert 1 == 2", "import warnings; warnings.warn('old')"])
def test_a_wrong_page_is_found(run_page, tmp_path, code):
    """A block that fails, or warns, fails its page; what is no Python block is not run."""
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n\n```console\n$ exit 1\n```\n\n```python\nx = 1\n```\n\n```python\n{code}\n```\n")
    assert run_page(page, tmp_path).returncode == 1
    page.write_text("```python\nclass A: pass\n```\n\n```python\nassert A.__module__ == 'page'\n```\n")
    assert run_page(page, tmp_path).returncode == 0


def test_every_code_stands_on_the_page_of_the_check():
    """The page that lists the codes has each of them, with the words of the command, and no other."""
    text = (ROOT / "docs/check.md").read_text()
    rows = dict(re.findall(r"^\| `(BV\d+)` \| (.*) \|$", text, re.MULTILINE))
    assert rows == dict(diagnostic.CODES)
