"""Rectifiers: how torch and models spell them, which function each computes, and where a pass has them."""
