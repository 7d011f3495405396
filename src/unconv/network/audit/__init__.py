"""The audit: findings about a traced network, and their fixes."""
