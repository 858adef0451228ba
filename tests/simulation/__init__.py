"""Random simulations of nodes over years, compared with a simple model that detects every wrong removal."""
