"""The pages of connections: the wizard, the list, one connection, its webhook secret."""
