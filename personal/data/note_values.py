"""Values of the facts that notes may tell, by the names that `note_facts.toml` uses."""

from __future__ import annotations

from personal.data.names import PEOPLE
from personal.data.phrases import split_list

MONTHS = split_list("January|February|March|April|May|June|July|August|September|October|November|December")
LANGUAGES = split_list("French|Spanish|Turkish|Hindi|Czech|Greek|Swahili|Dutch|Korean|Arabic|Italian|Danish")
YEARS = [str(year) for year in range(1931, 2026)]
PLACES = split_list(
    "Oslo|Lima|Kyoto|Cairo|Texas|Paris|Nairobi|Berlin|Hanoi|Toronto|Delhi|Auckland|Kyiv|Madrid|Prague|Boston|Dublin|"
    "Athens|Seville|Naples|Zagreb|Riga|Malmo|Ghana|Chile|Wales|Tuscany|a_small_village|the_city_centre|Turin|Basel"
)
FOLK = split_list(
    "Anna|Marco|Yuki|Fatima|Peter|Tom|Lin|my_sister|our_neighbour|my_grandmother|the_school|my_uncle|my_cousin_Eva|"
    "a_friend|my_boss|my_parents|grandpa|Mrs_Novak|Ravi|Carla|Ben|my_wife|my_husband|our_son|my_daughter|Aunt_Mary"
)
FOODS = split_list(
    "cheese|apples|chicken|fish|rice|noodles|blueberries|pancakes|pizza|carrots|peanuts|bread|salmon|lettuce|yoghurt|"
    "bananas|chocolate|beans|melon|eggs|dry_food|oats|pumpkin|ham|olives"
)
SHOPS = split_list(
    "a_market|IKEA|a_second-hand_shop|an_antique_shop|the_station_kiosk|a_garden_centre|the_internet|a_toy_shop"
)
VALUES = {
    "places": PLACES,
    "folk": FOLK,
    "foods": FOODS,
    "people": PEOPLE,
    "days": split_list("Mondays|Tuesdays|Wednesdays|Thursdays|Fridays|Saturdays|Sundays|weekdays|weekends"),
    "fears": split_list(
        "spiders|cats|heights|water|fireworks|mice|the_dark|bees|loud_noises|ghosts|lifts|dentists|storms|trains"
    ),
    "likes": split_list(
        "swimming|music|snow|naps|chess|dancing|rain|books|running|tea|long_walks|old_films|puzzles|the_sea|gardening|"
        "cooking|sunshine|cuddles|football|painting|trains|singing|fishing|cycling"
    ),
    "colours": split_list("black|white|brown|red|blue|green|yellow|orange|grey|purple|cream|turquoise|golden|pink"),
    "jobs": split_list(
        "teacher|carpenter|pilot|doctor|cook|farmer|lawyer|gardener|plumber|musician|librarian|engineer|tailor"
    ),
    "stuff": split_list(
        "wood|clay|plastic|cotton|silver|brass|oak|rubber|linen|porcelain|bamboo|iron|paper|wool|gold|tin|copper"
    ),
    "rooms": split_list(
        "the_kitchen|the_hall|the_attic|the_garage|my_office|the_bedroom|the_shed|a_cupboard|the_garden|a_drawer"
    ),
    "breeds": split_list(
        "Beagle|Husky|Collie|Pug|Labrador|Dachshund|Siamese|Persian|mongrel|Terrier|Boxer|Setter|Bengal"
    ),
    "brands": split_list(
        "Sony|Bosch|Philips|Nokia|Casio|Seiko|Lego|Braun|Canon|Fender|Adidas|Puma|Dell|Miele|Leica|Tefal"
    ),
    "damage": split_list(
        "a_crack|a_scratch|a_dent|a_missing_button|a_loose_screw|a_hole|a_stain|a_torn_strap|a_bent_wheel"
    ),
    "things": split_list(
        "a_rope|a_ball|a_squeaky_duck|a_stick|a_feather|a_blanket|a_sock|a_bone|a_paper_bag|a_toy_mouse|a_frisbee"
    ),
    "occasions": split_list(
        "Christmas|my_birthday|our_wedding|graduation|Easter|Mother's_Day|my_retirement|our_anniversary"
    ),
    "age": [*map(str, range(2, 90)), "two", "three", "five", "seven", "eight", "eleven", "twelve"],
    "born": [*YEARS, *(f"{month} {year}" for month in MONTHS for year in (1988, 2004, 2017, 2022))],
    "allergy": [*FOODS, "pollen", "dust", "grass", "nuts"],
    "weight": [*(f"{n} kg" for n in range(2, 60)), *(f"{n} grams" for n in (80, 120, 250, 300, 700)), "half a kilo"],
    "height": [
        *(f"{n} cm" for n in range(5, 200, 3)),
        "2 metres",
        "3.4 metres",
        "six feet",
        "half a metre",
        "40 metres",
    ],
    "speaks": [f"{one} and {other}" for one in LANGUAGES[:7] for other in LANGUAGES[7:]],
    "birthday": [f"{day} {month}" for day in range(1, 29, 3) for month in MONTHS],
    "children": [f"{one} and {other}" for one in PEOPLE[:9] for other in PEOPLE[9:18]],
    "phone": [f"0{a}{b} {c}{d}{a}{d}" for a in range(2, 9) for b in range(4) for c in (1, 5, 7) for d in (0, 3, 9)],
    "bought_at": [*SHOPS, *PLACES],
    "bought_when": [
        *YEARS,
        *(f"{month} {year}" for month in MONTHS for year in (2010, 2016, 2024)),
        "last spring",
        "last year",
    ],
    "price": [
        *(f"{n} euros" for n in (3, 8, 12, 19, 25, 40, 75, 130, 260, 900)),
        *(f"{n} dollars" for n in (5, 20, 60, 350)),
    ],
    "maker": [*FOLK, *PEOPLE[:12]],
    "made_when": [*YEARS, "the nineties", "the sixties", "1820", "1889", "1904"],
    "inside": [
        f"{one} and {other}"
        for one in split_list("keys|a_torch|coins|old_letters|pencils|sugar")
        for other in split_list("a_map|buttons|glue|tea")
    ],
    "code": [str(number) for number in range(1013, 9990, 271)],
}
