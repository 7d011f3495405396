"""One pass forward, one way back: reverse rules, unpooling with switches, and what they changed."""
