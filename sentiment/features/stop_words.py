"""Our own lists: the words that say nothing about an opinion, and the words that turn one around.

The stop list is short on purpose. It leaves out what turns an opinion (not, never, without), what weighs it (very,
too, only, most, hardly, should), and what sets two against each other (but, however, although), because in reviews
these words decide. The pieces of contractions are listed: "it's" goes because "it" and "s" are here, "isn't" stays.
"""

_STOP_WORDS = """
a an the this that these those
i me my mine myself we us our ours ourselves you your yours yourself yourselves
he him his himself she her hers herself it its itself they them their theirs themselves
who whom whose which what someone somebody something
am is are was were be been being s m re
have has had having ve do does did doing done d will shall ll
of at by for from in into on onto to with within upon about between among
through during before after above below around along across toward towards
and or as if than then because since while until unless whether
there here where when how why also such each every other another same own any some both now
"""

_NEGATIONS = """
no not never none nobody nothing nowhere noone neither nor cannot without hardly barely scarcely
aint arent cant couldnt didnt doesnt dont hadnt hasnt havent isnt mustnt neednt shouldnt wasnt werent wont wouldnt
"""

STOP_WORDS = frozenset(_STOP_WORDS.split())

NEGATIONS = frozenset(_NEGATIONS.split())
"""Besides these, every word that ends with n't."""
