"""Text to features: cleaning, word n-grams by hash or by number, and the scikit-learn vectorizers on top of them.

`clean`, `tokens`, `cells` and `vocabulary` need numpy only, so that a server can score with exactly the
features that training used; `estimator`, `ngrams` and `hashed` know scikit-learn. A vocabulary is learnt by
`corpus` (texts to numbered tokens), `counts` (n-grams that are frequent) and `selection` (those that become
columns), put together in `learning`.
"""
