"""My method keeps the contract of a learner."""

from cvis.testing import check_learner
from my_method import MyMethod


def test_it_keeps_the_contract():
    check_learner(MyMethod)
