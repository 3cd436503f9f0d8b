"""docs/proof.md holds every line that `make proof` prints."""

from messaging.tests.proof.page import PATH, proofs_on
from messaging.tests.proof.parts import expected


def test_the_page_has_every_line_of_the_table():
    assert proofs_on(PATH.read_text()) >= expected()
