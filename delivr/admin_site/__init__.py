"""Django admin for operators: signing in, the overview, rows that only operations may change."""
