"""The words of the generated reviews: what each domain talks about, and how it praises and complains.

The domains share a small vocabulary and differ in all the rest, so that a model that learned from one of them
is mostly at a loss in another, as models are in life. A few words even change sides: an unpredictable plot is
a good thing, an unpredictable thermostat is not.
"""

from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Vocabulary:
    """The words of one domain; `praise` and `blame` are adjectives, `joys` and `woes` whole sentences."""

    subjects: tuple[str, ...]
    praise: tuple[str, ...]
    blame: tuple[str, ...]
    joys: tuple[str, ...]
    woes: tuple[str, ...]
    facts: tuple[str, ...]
    names: tuple[str, ...]


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.replace("\n", " ").split("|"))


SHARED = Vocabulary(
    subjects=_list("all of it | the whole thing | the experience | the idea | the result | most of it"),
    praise=_list("good | great | excellent | wonderful | fantastic | lovely | impressive | perfect"),
    blame=_list("bad | terrible | poor | awful | disappointing | horrible | dreadful | mediocre"),
    joys=_list(
        "I would recommend it | I was pleasantly surprised | I am happy with it | It was worth every penny | I loved it"
    ),
    woes=_list(
        "I would not recommend it | I was very disappointed | I regret it | It was a waste of money | I hated it"
    ),
    facts=_list(
        "My sister asked me about it | I read a few reviews before | I had not expected much"
        " | It was {n} weeks ago | I am writing this {n} days later | A friend told me about it"
        " | This is my review number {n} | We were {n} people"
    ),
    names=("it",),
)

FILM = Vocabulary(
    subjects=_list(
        "the plot | the script | the dialogue | the acting | the lead actor | the ending | the first act"
        " | the second half | the camera work | the editing | the score | the soundtrack | the villain"
        " | the romance | the opening scene | the cast | the direction | the pacing | the heroine"
        " | the story | the final twist | the humour | the car chase | the supporting cast"
    ),
    praise=_list(
        "gripping | moving | witty | tense | haunting | funny | clever | charming | subtle | unpredictable"
        " | touching | thrilling | believable | hypnotic | poetic | hilarious | heartfelt | suspenseful"
        " | inventive | stylish | magnetic | layered | riveting | dark"
    ),
    blame=_list(
        "tedious | wooden | boring | predictable | shallow | cheesy | bland | contrived | pretentious"
        " | lifeless | muddled | clumsy | dull | forgettable | hollow | stilted | overlong | laughable"
        " | incoherent | derivative | soulless | sentimental | preachy | amateurish"
    ),
    joys=_list(
        "I was on the edge of my seat | I laughed until I cried | The credits rolled far too soon"
        " | I will watch it again with my parents | It deserves every award it got"
        " | The whole theatre applauded | I could not look away | It stayed with me for days"
        " | I cared about every character | A masterpiece of its genre"
    ),
    woes=_list(
        "I nearly fell asleep | Half the audience walked out | I kept looking at my watch"
        " | The actors seem to read from a card | I have seen better student films"
        " | The jokes fell flat | I guessed the ending after ten minutes | The sequel nobody asked for"
        " | I did not care about any character | Two hours I will never get back"
    ),
    facts=_list(
        "We saw it at the late show on day {n} | It runs for about {n} minutes | It is set in the seventies"
        " | The trailer shows the harbour scene | It is the director's film number {n}"
        " | There is a short scene after the credits | The book has {n} chapters"
        " | It was filmed in Prague and Lisbon | The cinema was half full | I watched it with subtitles"
        " | The hero is a retired detective | A train, a letter and a funeral start it off"
    ),
    names=_list("the film | this movie | this picture | the movie | this film"),
)

KITCHEN = Vocabulary(
    subjects=_list(
        "the lid | the handle | the blade | the motor | the pan | the coating | the kettle | the timer"
        " | the cord | the basket | the blender jar | the seal | the thermostat | the toaster | the knob"
        " | the scale | the rubber foot | the packaging | the drip tray | the grinder | the whisk"
        " | the non-stick surface | the display | the spout"
    ),
    praise=_list(
        "sturdy | durable | easy to clean | quiet | solid | compact | well made | dishwasher safe | precise"
        " | powerful | reliable | handy | rust free | watertight | heavy duty | energy saving | leakproof"
        " | robust | versatile | simple to assemble | razor sharp | fast | evenly heated | lightweight"
    ),
    blame=_list(
        "flimsy | leaky | rusty | noisy | brittle | wobbly | scratched | unpredictable | cracked | dented"
        " | faulty | sticky | loose | warped | hard to clean | underpowered | undersized | overheated"
        " | defective | fragile | greasy | slow | misaligned | peeling"
    ),
    joys=_list(
        "I bought a second one for my mother | It works like on the first day | It paid for itself in a month"
        " | Cleaning takes seconds | It fits every shelf | I use it every morning"
        " | My old one never managed that | It survived three house moves | It slices through anything"
        " | Dinner is ready in half the time"
    ),
    woes=_list(
        "It leaks all over the counter | I asked for a refund | It stopped working after a week"
        " | It went straight back to the shop | The plug melted | Customer service never answered"
        " | A piece snapped off in my hand | It smells of burnt plastic | The warranty does not cover it"
        " | It tripped the fuse twice"
    ),
    facts=_list(
        "It arrived in a plain box on day {n} | It holds about {n} cups | The cable is {n} inches long"
        " | I ordered it in grey | It sits next to the sink | The manual has {n} pages"
        " | It replaced our old one | It draws {n} watts | We cook for {n} every evening"
        " | There are {n} settings | It comes with a small brush | I keep it in the cupboard"
    ),
    names=_list("this gadget | the product | this appliance | this item | the machine"),
)

HOTEL = Vocabulary(
    subjects=_list(
        "the room | the bed | the breakfast | the front desk | the shower | the lobby | the pool"
        " | the view | the location | the air conditioning | the minibar | the carpet | the balcony"
        " | the porter | the bathroom | the check-in | the mattress | the wifi | the parking"
        " | the restaurant | the corridor | the spa | the elevator | the concierge"
    ),
    praise=_list(
        "spotless | cosy | spacious | welcoming | comfortable | central | peaceful | luxurious | attentive"
        " | refreshing | sunny | courteous | elegant | generous | airy | tasteful | restful | delicious"
        " | convenient | well kept | immaculate | hospitable | bright | soundproof"
    ),
    blame=_list(
        "dirty | cramped | damp | smelly | rude | overpriced | stained | mouldy | shabby | draughty"
        " | lukewarm | noisy | unhelpful | stuffy | run down | gloomy | freezing | crowded | dark | neglected"
        " | unsafe | dusty | outdated | chaotic"
    ),
    joys=_list(
        "We slept like babies | We will book again next summer | They upgraded us for free"
        " | The staff remembered our names | We stayed an extra night | The children did not want to leave"
        " | Everything was ready on arrival | Five minutes to the beach | They even washed our car"
        " | A gem in the old town"
    ),
    woes=_list(
        "We found bugs under the pillow | They charged us twice | We checked out a day early"
        " | Nobody picked up the phone | The walls are paper thin | There was hair in the tub"
        " | We waited two hours for the key | The photos are from another building"
        " | They lost our booking | We slept in the car in the end"
    ),
    facts=_list(
        "We stayed for {n} nights | Our room was number {n} | It is {n} minutes from the station"
        " | Breakfast starts at seven | We travelled with {n} bags | The building has {n} floors"
        " | We came by train | It was a business trip | The town has a small museum"
        " | There is a bakery next door | We booked {n} weeks ahead | It rained most of the week"
    ),
    names=_list("the hotel | this place | the stay | the resort | this hotel"),
)

VOCABULARIES = MappingProxyType({"film": FILM, "kitchen": KITCHEN, "hotel": HOTEL})
"""The vocabulary of each domain."""
