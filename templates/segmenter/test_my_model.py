"""My model keeps the contract of a segmenter."""

from cvis.testing import check_segmenter
from my_model import MyModel


def test_it_keeps_the_contract():
    check_segmenter(MyModel)
