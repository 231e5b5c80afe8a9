"""Gradients: what can be checked (targets/), the check, the diagnosis, ``gradcheck`` on top of them; and instruments."""
