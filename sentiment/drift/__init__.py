"""Drift: tells whether what people write has moved away from what the champion learned.

``signals`` and ``accuracy`` measure, ``check`` decides, ``explanation`` says what is different (``moved_words``,
``slices``), ``report`` shows (its parts are ``report_*``; ``evidently_page`` adds Evidently's own report with our
signals in it), ``archive`` keeps, ``run`` and ``files`` read what is compared. Measuring, deciding and explaining
are pure functions of two samples: the *reference* (held-out rows of the champion's snapshot) and the *current* one
(texts that the champion answered lately).
"""
