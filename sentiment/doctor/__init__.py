"""``sentiment doctor``: what a support engineer would ask for, looked at in one go."""
