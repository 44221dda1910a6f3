"""Which steps of the cleaning chain are taken: the value that settings, pipeline and scorer share."""

from dataclasses import dataclass, fields
from typing import ClassVar, Literal, get_args


@dataclass(frozen=True)
class Cleaning:
    """What is done to a text before its tokens are counted, in this order; the defaults are what measured best.

    Attributes
    ----------
    html : str
        ``tags``: each tag becomes a space. ``full``: also entities become characters, and comments, scripts
        and styles go with what they hold. ``keep``: nothing is done.
    case : str
        ``lower`` or ``keep``.
    urls : str
        Web and e-mail addresses: ``keep`` them, ``mark`` each with the word "url" or "email", or ``drop`` them.
    numbers : str
        Numbers such as 7, 10/10 or 1,000.50: ``keep``, ``mark`` each as 0, or ``drop``.
    stop_words : str
        ``keep``, or ``drop`` the words of our list, which holds no negation.
    normal_form : str
        ``none``, ``stem`` (Snowball) or ``lemma`` (WordNet).
    negation : str
        ``keep``, or ``mark`` what follows a negation, up to the next of ``. : ; ! ?``, with ``_neg``.
    punctuation : str
        ``keep`` ``! ? . , ; : " ( ) * /`` as tokens, or ``drop`` them; all other punctuation only separates.
    """

    html: Literal["keep", "tags", "full"] = "tags"
    case: Literal["keep", "lower"] = "lower"
    urls: Literal["keep", "mark", "drop"] = "keep"
    numbers: Literal["keep", "mark", "drop"] = "keep"
    stop_words: Literal["keep", "drop"] = "keep"
    normal_form: Literal["none", "stem", "lemma"] = "none"
    negation: Literal["keep", "mark"] = "keep"
    punctuation: Literal["keep", "drop"] = "keep"

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}  # as every section of the settings

    def __post_init__(self) -> None:
        """Refuse an unknown choice, wherever it comes from.

        Raises
        ------
        ValueError
            Says which one, and what there is.
        """
        for field in fields(self):
            choices, chosen = get_args(field.type), getattr(self, field.name)
            if chosen not in choices:
                raise ValueError(f"{field.name} is {chosen!r}, not one of {', '.join(choices)}")

    @property
    def changes_words(self) -> bool:
        """Whether single words are dropped or replaced, which takes a table of words."""
        return self.stop_words == "drop" or self.normal_form != "none"
