"""Everyday English words that may also be names: a question can hold them without naming anybody.

Written for this project: the words questions are made of, and nouns a photo is asked about. Lower case.
"""

COMMON_WORDS = frozenset(
    """
    a about above across after again against all almost alone along already also always am among an and another any
    anybody anyone anything anywhere are around as ask at away back be because been before behind being below beside
    between big both but by call came can cannot come could day describe did different do does doing done down during
    each either else end enough even ever every everybody everyone everything few find first for found from front full
    gave get give go goes going gone good got great guess had half happen happy has have he hello help her here hers hi
    high him his hold holding hope how i if in inside instead into is it its just keep kind knew know large last late
    least left less let like little long look looking looks lot low made make makes making many may maybe me mean might
    mine more most much must my name named near need never new next nice no nobody none nor not nothing now of off often
    old on once one only open or other our ours out outside over own part perhaps place please put quite ran rather
    really right run running said same saw say see seen shall she should show side since sit sitting sleep sleeping
    small so some somebody someone something soon stand standing still such sure take taken tell than thank thanks that
    the their them then there these they thing things think this those though through time to today together told too
    took top toward try turn two three four five six seven eight nine ten under until up upon us use used very walk
    want was way we wear wearing well went were what when where whether which while who whole whom whose why will wish
    with within without would write yes yet you young your yours
    black blue brown golden gray green grey orange pink purple red silver white yellow amber coral hazel ivory
    adult animal animals baby bear bee bird birds boy bug bunny butterfly camel cat cats chick child children cow deer
    dog dogs doggy duck eagle elephant family fish fly fox friend friends frog girl goat goose guy hamster hen horse
    human kid kids kitten kitty lady lamb lion man men monkey moose mouse otter owl panda parrot people person pet pets
    pig pony pup puppy rabbit rat seal sheep snake spider swan tiger toad turtle whale wolf woman women worm
    apple bag backpack ball balloon banana basket bat bath beach bean bed bell belt bench berry bicycle bike blanket
    block board boat book boot boots bottle bowl box bread brush bucket bus button cake camera can candle candy cap car
    card carpet cart castle ceiling chain chair chalk chip chocolate city clip clock cloth clothes cloud clover coat
    coffee coin cookie couch cream cup curtain cushion desk dish doll door dress drink drum egg face feather fence fire
    flag floor flower flowers food foot fork fruit game garden gate gift ginger glass glasses glove grape grass guitar
    hair hammer hand handle hat head heart hill home honey hook house ice jacket jam jar jeans jewel key keyboard kite
    knife lake lamp leaf leg lemon letter light line lock machine map mask mat mirror money monster moon mountain mouth
    mug necklace nest nose note nut ocean olive oven page paint painting pan paper park path peach peanut pear pearl pen
    pencil pepper phone photo photograph piano picture pie pillow pin pipe pizza plane plant plate pocket poop pot
    present pumpkin purse rain ring river road robot rock roof room rope rose rug ruler sand scarf school screen sea
    seat shade shadow shell ship shirt shoe shoes shop sign sink skirt sky snow soap sock sofa spoon spring square stage
    star stick stone store storm street string stuff suit sun sunglasses sunny sweater sword table tail tea teapot
    teddy tent toast tool tooth towel tower town toy toys train tray tree trees truck tube umbrella valley van vase
    vest wagon wall wallet watch water wave wheel wind window wing winter wood wool world
    angel art autumn bishop bill biscuit bliss bow buttercup chance charm chase cinnamon cliff cookies
    cotton crystal dash dawn destiny dot drew dusty echo faith fern flash forest frank fudge ghost glory
    grace grant harmony heath heather holly hunter iris ivy jade jasmine jay jet joy june april march august
    january february july september october november december monday tuesday wednesday thursday friday saturday sunday
    king knight latte lucky magic major mark melody mercy midnight mint misty muffin noodle nugget oak
    pat patience peaches pickle poppy prince princess queen ray reed rich rob robin
    sage sandy serenity shadow skip sky smoky spot storm sugar summer tank tiny trinity violet will
    willow
    sneaker sneakers plushie emoji background foreground image scene caption answer question color colour shape
    """.split()  # noqa: SIM905
)
