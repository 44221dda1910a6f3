"""Text to features: cleaning, hashed word n-grams, and the scikit-learn vectorizer on top of them.

`clean`, `tokens` and `vocabulary` need numpy only, so that a server can score with exactly the features that
training used; `ngrams` is the part that knows scikit-learn.
"""
