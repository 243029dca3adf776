"""Beartype as the tests use it: an int is a fine float, as in the type checker's eyes (PEP 484)."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
