"""PostgreSQL: many writers, so rows become visible in another order than they were written in."""
