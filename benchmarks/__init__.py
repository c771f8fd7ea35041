"""How fast the product is, measured on real servers. Not part of the tests: speed depends on the machine."""
