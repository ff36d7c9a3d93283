"""ImageNet's thousand classes in everyday words, and groups of classes that most people call the same."""

from __future__ import annotations

GROUPS = {
    "fish": "0-6 389-397",
    "bird": "7-24 80-100 127-146",
    "lizard": "38-48",
    "turtle": "33-37",
    "snake": "52-68",
    "spider": "72-77",
    "dog": "151-268",
    "wolf": "269-272",
    "fox": "277-280",
    "cat": "281-285",
    "bear": "294-297",
    "beetle": "300-307",
    "butterfly": "321-326",
    "rabbit": "330-332",
    "monkey": "369-382",
    "shoe": "514 770 774 502 630",
    "cup": "504 968",
    "bag": "414 748 636 728",
    "clock": "409 530 892",
    "ball": "430 522 574 722 768 805 852 890",
    "bottle": "440 720 737 898 907",
    "car": "436 468 511 609 627 656 661 751 817",
    "truck": "555 569 717 864 867 675",
    "bus": "654 779 874",
    "bicycle": "444 671",
    "boat": "472 554 576 625 814 914",
    "ship": "510 628 780 871",
    "computer": "527 620 681",
    "phone": "487 528 707",
    "sunglasses": "836 837",
    "chair": "423 559 765 857",
    "bed": "564 520 516",
    "hat": "515 808 439",
    "lamp": "619 846",
    "bread": "930 931 932 962",
    "guitar": "402 546",
    "piano": "579 881",
    "knife": "623 499",
    "pot": "505 849 738",
    "mushroom": "947 991 992 993 994 995 996 997",
    "coat": "568 617 869",
    "swimsuit": "445 638 639 842",
    "dress": "578 601 689 775",
}
"""Groups by the numbers of their classes."""
ANIMALS = {
    *("fish", "bird", "lizard", "turtle", "snake", "spider", "dog", "wolf", "fox", "cat", "bear"),
    *("beetle", "butterfly", "rabbit", "monkey"),
}
"""Groups whose classes few people know by name, so that the group is named with them."""
NAMES = {
    "teddy": "teddy bear",
    "jean": "jeans",
    "chow": "chow chow",
    "cellular telephone": "mobile phone",
    "dial telephone": "telephone",
    "Loafer": "loafer",
    "notebook": "laptop",
    "maillot": "swimsuit",
    "sunglass": "sunglasses",
    "studio couch": "sofa",
    "ashcan": "bin",
    "barrow": "wheelbarrow",
    "ballpoint": "pen",
    "beach wagon": "estate car",
    "analog clock": "clock",
    "jersey": "T-shirt",
    "mouse": "computer mouse",
    "hand blower": "hair dryer",
    "carton": "box",
    "coffee mug": "mug",
    "espresso": "cup of coffee",
    "cock": "rooster",
    "washer": "washing machine",
    "file": "filing cabinet",
    "buckeye": "chestnut",
    "iPod": "music player",
    "French loaf": "baguette",
    "Granny Smith": "apple",
    "head cabbage": "cabbage",
    "sorrel": "horse",
    "ox": "cow",
    "hog": "pig",
    "ram": "sheep",
    "window shade": "window blind",
    "pop bottle": "bottle",
    "bathtub": "bathtub",
    "tub": "bathtub",
    "web site": "screenshot",
    "desktop computer": "computer",
}
"""Everyday words for classes whose first WordNet lemma is not one."""


def class_names() -> tuple[str, ...]:
    """Return a short name of each class, from WordNet's lemmas in timm."""
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    lemmas = [str(info.index_to_description(place)).split(",")[0].strip() for place in range(info.num_classes())]
    short = [NAMES.get(lemma, lemma).lower() for lemma in lemmas]
    known = class_groups()
    return tuple(
        f"{name} {known[place]}" if known.get(place) in ANIMALS and known[place] not in name else name
        for place, name in enumerate(short)
    )


def class_groups() -> dict[int, str]:
    """Return the groups of classes by their numbers."""
    found: dict[int, str] = {}
    for group, places in GROUPS.items():
        for part in places.split():
            first, _, last = part.partition("-")
            found |= {place: group for place in range(int(first), int(last or first) + 1)}
    return found
