"""Drift: tells whether what people write has moved away from what the champion learned.

``signals``, ``accuracy`` and ``words`` measure, ``check`` decides, ``report`` shows (``evidently_page`` adds
Evidently's own report), ``archive`` keeps, ``run`` and ``files`` read what is compared. Measuring and
deciding are pure functions of two samples: the *reference* (held-out rows of the champion's snapshot) and
the *current* one (texts that the champion answered lately).
"""
