"""How far a projection can be trusted."""
