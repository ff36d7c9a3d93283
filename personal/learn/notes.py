"""Make rows about written notes: what was told is answered from them, what was not is said not to have been told.

Notes are one to five facts in many wordings, of one concept or of several. Every fact has questions, an answer and a
clause for "You haven't told me …"; of facts that nobody told, those that another concept's notes do tell come first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from random import Random

from personal.learn import names
from personal.learn.templates import choice

Pair = tuple[str, str, str]
SHORT = 0.25
"""Share of answers of which a two-option question is made as well."""
UNTOLD = 1.0
"""Questions that the notes do not answer, for each that they do."""


def _list(text: str) -> list[str]:
    return [part.replace("_", " ") for part in text.split("|")]


PLACES = _list(
    "Oslo|Lima|Kyoto|Cairo|Texas|Paris|Nairobi|Berlin|Hanoi|Toronto|Delhi|Auckland|Kyiv|Madrid|Prague|Boston|Dublin|"
    "Athens|Seville|Naples|Zagreb|Riga|Malmo|Ghana|Chile|Wales|Tuscany|a_small_village|the_city_centre|Turin|Basel"
)
FOLK = _list(
    "Anna|Marco|Yuki|Fatima|Peter|Tom|Lin|my_sister|our_neighbour|my_grandmother|the_school|my_uncle|my_cousin_Eva|"
    "a_friend|my_boss|my_parents|grandpa|Mrs_Novak|Ravi|Carla|Ben|my_wife|my_husband|our_son|my_daughter|Aunt_Mary"
)
MONTHS = _list("January|February|March|April|May|June|July|August|September|October|November|December")
DAYS = _list("Mondays|Tuesdays|Wednesdays|Thursdays|Fridays|Saturdays|Sundays|weekdays|weekends")
FOODS = _list(
    "cheese|apples|chicken|fish|rice|noodles|blueberries|pancakes|pizza|carrots|peanuts|bread|salmon|lettuce|yoghurt|"
    "bananas|chocolate|beans|melon|eggs|dry_food|oats|pumpkin|ham|olives"
)
FEARS = _list("spiders|cats|heights|water|fireworks|mice|the_dark|bees|loud_noises|ghosts|lifts|dentists|storms|trains")
LIKES = _list(
    "swimming|music|snow|naps|chess|dancing|rain|books|running|tea|long_walks|old_films|puzzles|the_sea|gardening|"
    "cooking|sunshine|cuddles|football|painting|trains|singing|fishing|cycling"
)
COLOURS = _list("black|white|brown|red|blue|green|yellow|orange|grey|purple|cream|turquoise|golden|pink")
JOBS = _list("teacher|carpenter|pilot|doctor|cook|farmer|lawyer|gardener|plumber|musician|librarian|engineer|tailor")
STUFF = _list("wood|clay|plastic|cotton|silver|brass|oak|rubber|linen|porcelain|bamboo|iron|paper|wool|gold|tin|copper")
ROOMS = _list("the_kitchen|the_hall|the_attic|the_garage|my_office|the_bedroom|the_shed|a_cupboard|the_garden|a_drawer")
SHOPS = _list(
    "a_market|IKEA|a_second-hand_shop|an_antique_shop|the_station_kiosk|a_garden_centre|the_internet|a_toy_shop"
)
BREEDS = _list("Beagle|Husky|Collie|Pug|Labrador|Dachshund|Siamese|Persian|mongrel|Terrier|Boxer|Setter|Bengal")
BRANDS = _list("Sony|Bosch|Philips|Nokia|Casio|Seiko|Lego|Braun|Canon|Fender|Adidas|Puma|Dell|Miele|Leica|Tefal")
DAMAGE = _list("a_crack|a_scratch|a_dent|a_missing_button|a_loose_screw|a_hole|a_stain|a_torn_strap|a_bent_wheel")
LANGUAGES = _list("French|Spanish|Turkish|Hindi|Czech|Greek|Swahili|Dutch|Korean|Arabic|Italian|Danish")
THINGS = _list(
    "a_rope|a_ball|a_squeaky_duck|a_stick|a_feather|a_blanket|a_sock|a_bone|a_paper_bag|a_toy_mouse|a_frisbee"
)
OCCASIONS = _list("Christmas|my_birthday|our_wedding|graduation|Easter|Mother's_Day|my_retirement|our_anniversary")


def _number(low: int, high: int) -> list[str]:
    return [str(n) for n in range(low, high)]


@dataclass(frozen=True, slots=True)
class Fact:
    """One kind of fact. `{s}` is the subject, `{x}` the value; statements without `{s}` are notes in telegram style.

    `kinds`: pet, person, thing. `clause` follows "You haven't told me".
    """

    key: str
    kinds: str
    values: list[str]
    statements: tuple[str, ...]
    questions: tuple[str, ...]
    answer: str
    clause: str


YEARS = [str(y) for y in range(1931, 2026)]
FACTS = (
    Fact(
        "age",
        "pet person thing",
        [*_number(2, 90), "two", "three", "five", "seven", "eight", "eleven", "twelve"],
        ("{s} is {x} years old.", "{s} turned {x} this year.", "Aged {x}.", "{s} is {x}."),
        ("How old is {s}?", "What is {s}'s age?", "What age is {s}?"),
        "{s} is {x} years old.",
        "how old {s} is",
    ),
    Fact(
        "born",
        "pet person",
        [*YEARS, *(f"{m} {y}" for m in MONTHS for y in ("1988", "2004", "2017", "2022"))],
        ("{s} was born in {x}.", "Born in {x}.", "{s} came into the world in {x}."),
        ("When was {s} born?", "In which year was {s} born?", "What is {s}'s date of birth?"),
        "{s} was born in {x}.",
        "when {s} was born",
    ),
    Fact(
        "birthplace",
        "pet person",
        PLACES,
        ("{s} was born in {x}.", "{s} comes from {x}.", "Originally from {x}.", "{s} grew up in {x}."),
        ("Where was {s} born?", "Where does {s} come from?", "Where is {s} from?"),
        "{s} is from {x}.",
        "where {s} is from",
    ),
    Fact(
        "home",
        "pet person",
        PLACES,
        ("{s} lives in {x}.", "{s} lives in {x} now.", "Lives in {x}.", "{s}'s home is in {x}."),
        ("Where does {s} live?", "Where is {s}'s home?", "In which place does {s} live?"),
        "{s} lives in {x}.",
        "where {s} lives",
    ),
    Fact(
        "likes",
        "pet person",
        LIKES,
        ("{s} likes {x}.", "{s} is fond of {x}.", "Likes {x}.", "{s} enjoys {x}.", "{s}'s favourite thing is {x}."),
        ("What does {s} like?", "What does {s} enjoy?", "What is {s} fond of?", "What makes {s} happy?"),
        "{s} likes {x}.",
        "what {s} likes",
    ),
    Fact(
        "dislikes",
        "pet person",
        LIKES,
        ("{s} hates {x}.", "{s} does not like {x}.", "Dislikes {x}.", "{s} cannot stand {x}."),
        ("What does {s} hate?", "What does {s} dislike?", "What does {s} not like?"),
        "{s} dislikes {x}.",
        "what {s} dislikes",
    ),
    Fact(
        "fear",
        "pet person",
        FEARS,
        ("{s} is afraid of {x}.", "{s} is scared of {x}.", "Terrified of {x}.", "{x} frighten {s}."),
        ("What is {s} afraid of?", "What is {s} scared of?", "What frightens {s}?", "What does {s} fear?"),
        "{s} is afraid of {x}.",
        "what {s} is afraid of",
    ),
    Fact(
        "food",
        "pet person",
        FOODS,
        ("{s} eats {x}.", "{s} loves {x}.", "Favourite food: {x}.", "{s} gets {x} for dinner."),
        (
            "What does {s} eat?",
            "What is {s}'s favourite food?",
            "What should I feed {s}?",
            "What does {s} love to eat?",
        ),
        "{s} eats {x}.",
        "what {s} eats",
    ),
    Fact(
        "allergy",
        "pet person",
        [*FOODS, "pollen", "dust", "grass", "nuts"],
        ("{s} is allergic to {x}.", "Allergic to {x}.", "{s} must not have {x}.", "{s} cannot have {x}."),
        ("What is {s} allergic to?", "Does {s} have any allergies?", "What must {s} not eat?"),
        "{s} is allergic to {x}.",
        "what {s} is allergic to",
    ),
    Fact(
        "weight",
        "pet thing",
        [*(f"{n} kg" for n in range(2, 60)), *(f"{n} grams" for n in (80, 120, 250, 300, 700)), "half a kilo"],
        ("{s} weighs {x}.", "Weight: {x}.", "Weighs {x}.", "{s} has a weight of {x}."),
        ("How much does {s} weigh?", "How heavy is {s}?", "What is {s}'s weight?"),
        "{s} weighs {x}.",
        "how much {s} weighs",
    ),
    Fact(
        "height",
        "person thing",
        [*(f"{n} cm" for n in range(5, 200, 3)), "2 metres", "3.4 metres", "six feet", "half a metre", "40 metres"],
        ("{s} is {x} tall.", "Height: {x}.", "{s} measures {x}.", "{s} is {x} high."),
        ("How tall is {s}?", "How high is {s}?", "What is {s}'s height?", "How big is {s}?"),
        "{s} is {x} tall.",
        "how tall {s} is",
    ),
    Fact(
        "job",
        "person",
        JOBS,
        ("{s} is a {x}.", "{s} works as a {x}.", "Works as a {x}.", "{s} earns a living as a {x}."),
        ("What is {s}'s job?", "What does {s} do for a living?", "What does {s} work as?", "What does {s} do?"),
        "{s} is a {x}.",
        "what {s} does for a living",
    ),
    Fact(
        "workplace",
        "person",
        _list(
            "a_bank|the_airport|a_museum|the_post_office|a_hotel|the_university|a_zoo|a_factory|the_town_hall|a_farm"
        ),
        ("{s} works at {x}.", "Works at {x}.", "{s} is employed at {x}."),
        ("Where does {s} work?", "At which place does {s} work?"),
        "{s} works at {x}.",
        "where {s} works",
    ),
    Fact(
        "speaks",
        "person",
        [f"{a} and {b}" for a in LANGUAGES[:7] for b in LANGUAGES[7:]],
        ("{s} speaks {x}.", "Speaks {x}.", "{s} is fluent in {x}."),
        ("Which languages does {s} speak?", "What does {s} speak?", "What languages can {s} speak?"),
        "{s} speaks {x}.",
        "which languages {s} speaks",
    ),
    Fact(
        "birthday",
        "person pet",
        [f"{n} {m}" for n in range(1, 29, 3) for m in MONTHS],
        ("{s}'s birthday is on {x}.", "Birthday: {x}.", "{s} celebrates on {x}."),
        ("When is {s}'s birthday?", "On which day is {s}'s birthday?", "When should I congratulate {s}?"),
        "{s}'s birthday is on {x}.",
        "when {s}'s birthday is",
    ),
    Fact(
        "partner",
        "person",
        names.PEOPLE,
        ("{s} is married to {x}.", "Married to {x}.", "{s} is {x}'s partner."),
        ("Who is {s} married to?", "Is {s} married?", "Who is {s}'s partner?"),
        "{s} is married to {x}.",
        "whether {s} is married",
    ),
    Fact(
        "children",
        "person",
        [f"{a} and {b}" for a in names.PEOPLE[:9] for b in names.PEOPLE[9:18]],
        ("{s} has two children, {x}.", "{s}'s children are {x}.", "Two kids: {x}."),
        ("What are the names of {s}'s children?", "Does {s} have children?", "Who are {s}'s children?"),
        "{s}'s children are {x}.",
        "whether {s} has children",
    ),
    Fact(
        "relation",
        "person",
        _list("my_aunt|my_best_friend|our_postman|my_boss|my_flatmate|my_godson|our_teacher|my_niece|my_dentist"),
        ("{s} is {x}.", "This is {x}.", "{s}, {x}, comes by often."),
        ("Who is {s} to me?", "How do I know {s}?", "Who is {s}?"),
        "{s} is {y}.",
        "who {s} is to you",
    ),
    Fact(
        "phone",
        "person pet",
        [f"0{a}{b} {c}{d}{a}{d}" for a in range(2, 9) for b in range(4) for c in (1, 5, 7) for d in (0, 3, 9)],
        ("{s}'s phone number is {x}.", "Phone: {x}.", "Call {s} at {x}.", "In an emergency call {x}."),
        ("What is {s}'s phone number?", "Which number do I call for {s}?"),
        "The number is {x}.",
        "a phone number for {s}",
    ),
    Fact(
        "plays",
        "person",
        _list("the_piano|tennis|the_flute|handball|the_drums|golf|the_violin|volleyball|the_trumpet|hockey|the_harp"),
        ("{s} plays {x}.", "Plays {x}.", "{s} has played {x} for years."),
        ("What does {s} play?", "What can {s} play?", "Which game or instrument does {s} play?"),
        "{s} plays {x}.",
        "what {s} plays",
    ),
    Fact(
        "breed",
        "pet",
        BREEDS,
        ("{s} is a {x}.", "Breed: {x}.", "{s} is a pure {x}.", "A {x}."),
        ("What breed is {s}?", "What is {s}'s breed?", "Which breed is {s}?"),
        "{s} is a {x}.",
        "which breed {s} is",
    ),
    Fact(
        "toy",
        "pet",
        THINGS,
        ("{s} plays with {x}.", "Favourite toy: {x}.", "{s}'s favourite toy is {x}.", "{s} always carries {x}."),
        ("What is {s}'s favourite toy?", "What does {s} play with?"),
        "{s}'s favourite toy is {x}.",
        "what {s} plays with",
    ),
    Fact(
        "tricks",
        "pet",
        _list(
            "shake_hands|roll_over|open_doors|jump_through_a_hoop|fetch_the_paper|play_dead|spin_around|count_to_three"
        ),
        ("{s} can {x}.", "Can {x}.", "{s} has learnt to {x}."),
        ("What can {s} do?", "Which tricks does {s} know?", "What has {s} learnt?"),
        "{s} can {x}.",
        "what {s} can do",
    ),
    Fact(
        "sleeps",
        "pet",
        _list(
            "under_the_stairs|on_the_sofa|in_a_basket|in_my_bed|on_the_piano|in_the_bathtub|behind_the_oven|in_the_barn"
        ),
        ("{s} sleeps {x}.", "Sleeps {x}.", "At night {s} is {x}."),
        ("Where does {s} sleep?", "Where does {s} spend the night?"),
        "{s} sleeps {x}.",
        "where {s} sleeps",
    ),
    Fact(
        "vet",
        "pet",
        ["Dr. Adams", "Dr. Okafor", "Dr. Weiss", "Mrs Lopez", "Dr. Silva", "Mr Brown", "Dr. Khan", "Dr. Moreau"],
        ("{s}'s vet is {x}.", "Vet: {x}.", "{x} treats {s}."),
        ("Who is {s}'s vet?", "Which vet does {s} go to?", "What is the name of {s}'s vet?"),
        "{s}'s vet is {x}.",
        "who {s}'s vet is",
    ),
    Fact(
        "fedby",
        "pet",
        FOLK,
        ("{x} feeds {s}.", "Fed by {x}.", "{s} is fed by {x}."),
        ("Who feeds {s}?", "Who gives {s} food?"),
        "{x} feeds {s}.",
        "who feeds {s}",
    ),
    Fact(
        "medicine",
        "pet person",
        _list("an_eye_drop|two_tablets|a_vitamin|an_injection|ear_drops|a_spoon_of_oil|heart_pills|an_inhaler"),
        ("{s} takes {x} every day.", "Needs {x} every day.", "{s} gets {x} every evening."),
        ("What medicine does {s} take?", "What does {s} get every day?", "Which medicine does {s} need?"),
        "{s} takes {x} every day.",
        "whether {s} takes medicine",
    ),
    Fact(
        "colour",
        "pet thing",
        COLOURS,
        ("{s} is {x}.", "Colour: {x}.", "{s} is all {x}.", "It is {x} in colour."),
        ("What colour is {s}?", "Which colour does {s} have?", "What is {s}'s colour?"),
        "{s} is {x}.",
        "what colour {s} is",
    ),
    Fact(
        "collar",
        "pet",
        COLOURS,
        ("{s} wears a {x} collar.", "Has a {x} collar.", "{s}'s collar is {x}."),
        ("What colour is {s}'s collar?", "Which collar does {s} wear?"),
        "{s}'s collar is {x}.",
        "what colour {s}'s collar is",
    ),
    Fact(
        "made_of",
        "thing",
        STUFF,
        ("{s} is made of {x}.", "Made of {x}.", "{s} consists of {x}.", "It is {x} all over."),
        ("What is {s} made of?", "Which material is {s}?", "Of what material is {s}?"),
        "{s} is made of {x}.",
        "what {s} is made of",
    ),
    Fact(
        "bought_at",
        "thing pet",
        [*SHOPS, *PLACES],
        (
            "I bought {s} in {x}.",
            "Bought in {x}.",
            "{s} was bought in {x}.",
            "We found {s} in {x}.",
            "We got it in {x}.",
        ),
        ("Where did I buy {s}?", "Where was {s} bought?", "Where did we get {s}?", "Where is {s} from?"),
        "You bought {s} in {x}.",
        "where you bought {s}",
    ),
    Fact(
        "bought_when",
        "thing pet",
        [*YEARS, *(f"{m} {y}" for m in MONTHS for y in ("2010", "2016", "2024")), "last spring", "last year"],
        ("I bought {s} in {x}.", "Bought in {x}.", "We have had {s} since {x}.", "{s} came to us in {x}."),
        ("When did I buy {s}?", "When was {s} bought?", "Since when do we have {s}?", "When did we get {s}?"),
        "You got {s} in {x}.",
        "when you bought {s}",
    ),
    Fact(
        "price",
        "thing pet",
        [
            *(f"{n} euros" for n in (3, 8, 12, 19, 25, 40, 75, 130, 260, 900)),
            *(f"{n} dollars" for n in (5, 20, 60, 350)),
        ],
        ("{s} cost {x}.", "Price: {x}.", "I paid {x} for {s}.", "It was {x}.", "Cost me {x}."),
        ("How much did {s} cost?", "What did {s} cost?", "What did I pay for {s}?", "What was the price of {s}?"),
        "{s} cost {x}.",
        "what {s} cost",
    ),
    Fact(
        "giver",
        "thing pet",
        FOLK,
        ("{s} was a gift from {x}.", "A present from {x}.", "{x} gave me {s}.", "I got it from {x}.", "Given by {x}."),
        ("Who gave me {s}?", "Who is {s} from?", "From whom did I get {s}?", "Whose gift was {s}?"),
        "{x} gave you {s}.",
        "who gave you {s}",
    ),
    Fact(
        "occasion",
        "thing",
        OCCASIONS,
        ("I got {s} for {x}.", "A gift for {x}.", "{s} was a present for {x}."),
        ("What was the occasion of {s}?", "For what occasion did I get {s}?", "On what occasion was {s} given?"),
        "{s} was a present for {y}.",
        "on what occasion you got {s}",
    ),
    Fact(
        "owner",
        "thing pet",
        FOLK,
        ("{s} belongs to {x}.", "Belongs to {x}.", "The owner is {x}.", "{s} is owned by {x}."),
        ("Whose is {s}?", "Who owns {s}?", "Who does {s} belong to?", "To whom does {s} belong?"),
        "{s} belongs to {y}.",
        "who {s} belongs to",
    ),
    Fact(
        "maker",
        "thing",
        [*FOLK, *names.PEOPLE[:12]],
        ("{s} was made by {x}.", "Made by {x}.", "{x} made {s}.", "{x} built it."),
        ("Who made {s}?", "By whom was {s} made?", "Who built {s}?"),
        "{s} was made by {y}.",
        "who made {s}",
    ),
    Fact(
        "made_when",
        "thing",
        [*YEARS, "the nineties", "the sixties", "1820", "1889", "1904"],
        ("{s} was made in {x}.", "From {x}.", "{s} dates from {x}.", "Built in {x}."),
        ("When was {s} made?", "What year is {s} from?", "When was {s} built?"),
        "{s} is from {x}.",
        "when {s} was made",
    ),
    Fact(
        "brand",
        "thing",
        BRANDS,
        ("{s} is a {x}.", "Brand: {x}.", "The brand is {x}.", "{s} was produced by {x}."),
        ("Which brand is {s}?", "What make is {s}?", "What brand is {s}?"),
        "{s} is from {x}.",
        "which brand {s} is",
    ),
    Fact(
        "kept",
        "thing",
        ROOMS,
        ("{s} stands in {x}.", "Kept in {x}.", "{s} is in {x}.", "I keep {s} in {x}.", "It hangs in {x}."),
        ("Where is {s} kept?", "Where do I keep {s}?", "Where does {s} stand?", "Where is {s}?"),
        "{s} is in {x}.",
        "where {s} is kept",
    ),
    Fact(
        "damage",
        "thing",
        DAMAGE,
        ("{s} has {x}.", "Has {x}.", "Careful, there is {x}.", "{s} got {x} when it fell."),
        ("What is wrong with {s}?", "What is damaged on {s}?", "Is {s} damaged?"),
        "{s} has {x}.",
        "whether {s} is damaged",
    ),
    Fact(
        "holds",
        "thing",
        [*(f"{n} litres" for n in (2, 3, 5, 8, 12, 45)), "half a litre", "300 ml", "20 kilos", "six people"],
        ("{s} holds {x}.", "Holds {x}.", "There is room for {x}."),
        ("How much does {s} hold?", "What does {s} hold?", "How much fits into {s}?"),
        "{s} holds {x}.",
        "how much {s} holds",
    ),
    Fact(
        "inside",
        "thing",
        [
            f"{a} and {b}"
            for a in _list("keys|a_torch|coins|old_letters|pencils|sugar")
            for b in _list("a_map|buttons|glue|tea")
        ],
        ("There are {x} in {s}.", "Contains {x}.", "Inside are {x}.", "I keep {x} in {s}."),
        ("What is in {s}?", "What does {s} contain?", "What do I keep in {s}?"),
        "{s} contains {x}.",
        "what is in {s}",
    ),
    Fact(
        "washing",
        "thing",
        _list("by_hand|at_40_degrees|in_cold_water|with_a_damp_cloth|in_the_dishwasher|once_a_month|never"),
        ("{s} is washed {x}.", "To be washed {x}.", "Wash {s} {x}."),
        ("How is {s} washed?", "How should I wash {s}?", "How do I clean {s}?"),
        "{s} is washed {x}.",
        "how {s} is washed",
    ),
    Fact(
        "code",
        "thing",
        [str(n) for n in range(1013, 9990, 271)],
        ("The code of {s} is {x}.", "Code: {x}.", "{s} opens with {x}.", "Number {x} is on it."),
        ("What is the code of {s}?", "Which number does {s} have?", "What is {s}'s number?"),
        "The number is {x}.",
        "the number of {s}",
    ),
    Fact(
        "days",
        "pet person thing",
        DAYS,
        ("{s} comes along on {x}.", "Only on {x}.", "{s} is needed on {x}.", "Training is on {x}."),
        ("On which days, {s}?", "On which days is it {s}'s turn?", "When does {s} come along?"),
        "On {x}.",
        "on which days",
    ),
    Fact(
        "has_on_it",
        "thing",
        _list(
            "a_ship|a_dragon|three_stars|a_rose|my_initials|a_heart|a_map_of_Spain|an_owl|blue_stripes|a_clown|a_bee"
        ),
        ("{s} has {x} on it.", "With {x} on it.", "{x} is painted on {s}.", "There is {x} on {s}."),
        ("What is on {s}?", "What is painted on {s}?", "What picture is on {s}?"),
        "There is {x} on {s}.",
        "what is on {s}",
    ),
    Fact(
        "hair",
        "person",
        _list("long_blonde|short_black|curly_brown|red|white|dark|wavy|shaved"),
        ("{s} has {x} hair.", "With {x} hair.", "{s}'s hair is {x}."),
        ("What is {s}'s hair like?", "What hair does {s} have?", "What colour is {s}'s hair?"),
        "{s} has {x} hair.",
        "what {s}'s hair is like",
    ),
    Fact(
        "wears",
        "person",
        _list("glasses|a_red_cap|a_green_scarf|a_uniform|earrings|a_blue_coat|sandals|a_straw_hat|a_black_tie|a_watch"),
        ("{s} always wears {x}.", "Wears {x}.", "{s} is never without {x}.", "{s} is wearing {x}."),
        ("What does {s} wear?", "What is {s} wearing?", "What does {s} always wear?"),
        "{s} wears {x}.",
        "what {s} wears",
    ),
    Fact(
        "eyes",
        "pet person",
        _list("blue|green|dark_brown|grey|amber|hazel|one_blue_and_one_brown"),
        ("{s} has {x} eyes.", "With {x} eyes.", "{s}'s eyes are {x}."),
        ("What colour are {s}'s eyes?", "What eyes does {s} have?"),
        "{s}'s eyes are {x}.",
        "what colour {s}'s eyes are",
    ),
)
KINDS = {
    "pet": _list("dog|cat|parrot|rabbit|hamster|horse|tortoise|guinea_pig|budgie|pony"),
    "person": _list("man|woman|boy|girl|person|friend"),
    "thing": _list(
        "mug|backpack|vase|teapot|clock|lamp|teddy_bear|plush_toy|car|bicycle|guitar|chair|watch|camera|house|boat|"
        "tent|"
        "scarf|statue|box|umbrella|radio|plant|phone|wallet|hat|jacket|sofa|kettle|tower|bag|suitcase|doll|sculpture"
    ),
}
PRONOUNS = {"pet": ("He", "She"), "person": ("He", "She"), "thing": ("It",)}
OWN = {"He": "his", "She": "her", "It": "its"}


@dataclass(slots=True)
class Noted:
    """A concept with notes: its tag and category, what was told, by fact, with its values."""

    tag: str
    kind: str
    category: str
    info: str
    told: dict[str, str]
    pronoun: str


def noted(random: Random, told: dict[str, str] | None = None, kind: str = "", names_taken: str = "") -> Noted:
    """Write notes of one to five facts about somebody or something made up."""
    kind = kind or random.choice(("pet", "person", "thing", "thing"))
    tag = f"<{names.draw(random)}>"
    while tag.casefold() in names_taken.casefold():
        tag = f"<{names.draw(random)}>"
    category, pronoun = random.choice(KINDS[kind]), random.choice(PRONOUNS[kind])
    if category in {"man", "boy", "woman", "girl"}:
        pronoun = "She" if category in {"woman", "girl"} else "He"
    usable = [fact for fact in FACTS if kind in fact.kinds.split()]
    chosen = random.sample(usable, random.choice((1, 1, 2, 2, 3, 3, 4, 5)))
    chosen = _apart(chosen)
    values = {fact.key: (told or {}).get(fact.key) or random.choice(fact.values) for fact in chosen}
    sentences = [
        _stated(fact, values[fact.key], tag, pronoun, first=not place, random=random)
        for place, fact in enumerate(chosen)
    ]
    if random.random() < 0.4:
        sentences.insert(0, random.choice((f"{tag} is my {category}.", f"My {category}.", f"{tag} is a {category}.")))
    return Noted(tag, kind, category if random.random() < 0.8 else "", " ".join(sentences), values, pronoun)


CLASHES = (
    {"born", "birthplace"},
    {"bought_at", "bought_when", "birthplace", "made_when"},
    {"age", "born"},
    {"job", "breed", "brand", "relation"},
    {"food", "allergy"},
    {"likes", "food"},
    {"owner", "giver"},
    {"phone", "code"},
)
"""Facts of which one says, or seems to say, what another is asked for: never told, or asked, of one concept."""


def _apart(facts: list[Fact]) -> list[Fact]:
    kept: list[Fact] = []
    for fact in facts:
        if not any({fact.key, other.key} <= clash for other in kept for clash in CLASHES):
            kept.append(fact)
    return kept


def _stated(fact: Fact, value: str, tag: str, pronoun: str, *, first: bool, random: Random) -> str:
    statement = random.choice(fact.statements)
    name = tag if random.random() < 0.6 else tag[1:-1]
    subject = name if first or random.random() < 0.3 else pronoun
    if subject in OWN:
        statement = statement.replace("{s}'s", OWN[subject])
        if not statement.startswith("{s}"):
            subject = {"He": "him", "She": "her", "It": "it"}[subject]
    text = statement.format(s=subject, x=value)
    return text[:1].upper() + text[1:]


def questions(one: Noted, random: Random, *, others: tuple[Noted, ...] = ()) -> list[Pair]:
    """Ask what the notes tell, and as often what they do not; each (question, answer, type)."""
    facts = {fact.key: fact for fact in FACTS}
    pairs: list[Pair] = []
    told = random.sample(list(one.told), min(3, len(one.told)))
    for key in told:
        fact, value = facts[key], one.told[key]
        question = _asked(random.choice(fact.questions), one, random, alone=not others)
        pairs.append((question, _answer(fact, value, one.tag), "notes"))
        if random.random() < SHORT:
            wrong = random.choice([v for v in fact.values if v != value])
            capital = [text[:1].upper() + text[1:] for text in (value, wrong)]
            right, other = capital
            pairs.append((*choice(fact.questions[0].format(s=one.tag), right, other, random), "choice"))
    usable = [fact for fact in FACTS if one.kind in fact.kinds.split() and fact.key not in one.told]
    usable = [f for f in usable if not any(f.key in clash and clash & one.told.keys() for clash in CLASHES)]
    wanted = {key for other in others for key in other.told}
    random.shuffle(usable)
    usable.sort(key=lambda fact: fact.key not in wanted)
    for fact in usable[: max(1, round(UNTOLD * len(told)))]:
        question = _asked(random.choice(fact.questions), one, random, alone=not others)
        pairs.append((question, f"You haven't told me {fact.clause.format(s=one.tag)}.", "notes"))
    return pairs


def _answer(fact: Fact, value: str, tag: str) -> str:
    """Answer to the one who wrote the notes: "my sister" is theirs."""
    value = re.sub(r"\b(?:my|our)\b", "your", value)
    text = fact.answer.format(s=tag, x=value, y=value)
    return text[:1].upper() + text[1:]


def _asked(question: str, one: Noted, random: Random, *, alone: bool) -> str:
    if alone and random.random() < 0.12:
        pronoun = one.pronoun.lower()
        obj = {"he": "him", "she": "her", "it": "it"}[pronoun]
        question = question.replace("{s}'s", OWN[one.pronoun])
        after = r" of | for | to | from |with |me |buy |about |in |on |feed |call "
        found = re.search(r"\{s\}", question)
        objective = bool(found and re.search(rf"(?:{after})$", question[: found.start()]))
        question = question.replace("{s}", obj if objective else pronoun)
        return f"And {question[:1].lower()}{question[1:]}" if random.random() < 0.4 else question
    return question.format(s=one.tag)
