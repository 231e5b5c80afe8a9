"""Gradients: what can be checked, the check, the diagnosis, ``gradcheck`` on top; and instruments."""
