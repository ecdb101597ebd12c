"""The command `submillion`: flags made from recipe fields, results as tables or JSON."""
