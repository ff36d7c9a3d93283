"""Small talk without a photo, and general questions for the base model to answer.

No answer describes a photo: asked about one, the answer says that there is none. Answers to GENERAL_QUESTIONS are the
base model's own, shortened and kept if `acceptable`, so that training does not unlearn them (learning without
forgetting, Li and Hoiem, ECCV 2016).
"""

from __future__ import annotations

import re
from random import Random

from personal.data.phrases import split_list
from personal.data.templates import QuestionAnswer

NO_PHOTO = "There is no photo yet. Drop one in and ask again."
HELLO = "Hello! Drop in a photo, and I will tell you what I see."
WELCOME = "You are welcome!"
BYE = "Goodbye! Come back with a photo any time."
ABILITIES = (
    "I can describe your photos, call people, pets and things by the names you gave them, and answer from your notes."
)
TEACH = "Open Concepts, give it a name and add a few photos; then I will recognise it."
WHO = "I am an assistant for your photos."
FINE = "I am fine, thank you! How can I help you?"
PRIVATE = "Everything stays on this machine: no photo leaves it."
SORRY = "I am sorry to hear that. I hope you feel better soon."
GLAD = "I am glad to hear that!"
REPLIES: dict[str, tuple[str, ...]] = {
    HELLO: ("Hello", "Hi", "Hi!", "Hello there", "Hey!", "Greetings", "Hello, assistant", "Hallo", "Good day", "Howdy"),
    "Good morning! How can I help you?": ("Morning!", "A good morning to you", "Good morning, assistant"),
    "Good evening! How can I help you?": ("Evening!", "A good evening to you"),
    FINE: (
        "How are you?",
        "How do you do?",
        "How is it going?",
        "Are you well?",
        "How are you doing today?",
        "You ok?",
    ),
    "Nice to meet you, too!": ("Pleased to meet you", "Nice meeting you!", "It's a pleasure to meet you"),
    WELCOME: (
        "Thank you!",
        "Thanks a lot",
        "Many thanks",
        "Thank you very much.",
        "thx",
        "Thanks for the answer",
        "Cheers",
    ),
    "Thank you, I am glad you like it.": (
        "Well done!",
        "Good job",
        "Great answer",
        "You are clever",
        "I like you",
        "Nice!",
    ),
    BYE: ("Goodbye", "Bye bye", "See you", "See you later", "I have to go now", "Take care!", "So long"),
    "Good night, sleep well!": ("Good night!", "I am going to bed", "Time to sleep"),
    WHO: ("What are you?", "Who am I talking to?", "Introduce yourself", "Tell me about yourself"),
    "I have no name: I am an assistant for your photos.": (
        "Do you have a name?",
        "What should I call you?",
        "What are you called?",
    ),
    "No, I am a program, an assistant for your photos.": (
        "Are you a person?",
        "Are you real?",
        "Are you a robot?",
        "Are you alive?",
    ),
    ABILITIES: (
        "What are you able to do?",
        "What can I ask you?",
        "What are you good at?",
        "Help",
        "help me",
        "What do you do?",
        "What is this app for?",
        "Can you help me?",
        "What is this?",
    ),
    TEACH: (
        "How can I add somebody?",
        "How do I give something a name?",
        "How can you learn my cat's name?",
        "How do I register my mug?",
        "How do I teach you my friend's face?",
        "How do I add a concept?",
    ),
    "Drop in a photo and ask about it; what has a name under Concepts I call by it.": (
        "How do I use this?",
        "How do I start?",
        "What do I have to do?",
        "Explain how you work",
    ),
    PRIVATE: (
        "Is this private?",
        "Where are my photos kept?",
        "Who can see my pictures?",
        "Are my photos sent anywhere?",
    ),
    "Yes, I look at the photos that you drop in.": (
        "Can you look at pictures?",
        "Do you understand photos?",
        "Can you see?",
    ),
    NO_PHOTO: (
        "What do you see?",
        "What is in this picture?",
        "Describe the photo.",
        "Give a caption of the photo.",
        "Who is in this photo?",
        "What is happening in the picture?",
        "Who is that?",
        "What colour is the dog in the photo?",
        "Caption this photo.",
        "What is the man doing?",
        "What do you see in the image?",
        "Tell me about this photo.",
        "Is there a cat in the photo?",
        "What is on the table?",
        "Describe the photo in detail.",
    ),
    SORRY: ("I feel bad", "I had a terrible day", "I am ill", "My cat died", "I'm tired and lonely", "I lost my job"),
    GLAD: ("I feel great!", "I had a wonderful day", "I passed my exam!", "Life is good", "We are getting married!"),
    "Good. What would you like to know?": ("Okay", "Alright", "Fine.", "Sure", "yes", "I see", "Understood", "hm"),
    "No problem. Is there anything else?": ("no", "Never mind", "Forget it", "No, thanks", "Sorry"),
    "Stay inside and make yourself a warm drink.": ("It is cold today", "What awful weather", "It's snowing"),
    "Enjoy the sunshine!": ("The sun is shining", "What a beautiful day", "It is warm outside"),
    "Why did the camera get fired? Because it could not focus!": (
        "Tell me something funny",
        "Do you know a joke?",
        "Make me laugh",
    ),
    "La la la, the sun is up, the day is new, and every photo smiles at you.": ("Can you sing?", "Write me a song"),
}
"""Answers, and what people say to get them."""
INTRODUCTIONS = (
    "My dog's name is {n}",
    "My cat is called {n}",
    "I have a sister called {n}",
    "My friend {n} is here",
    "This is {n}",
)
INTRODUCTION_ANSWER = "{n} is a nice name! Add a photo of {n} under Concepts, and I will recognise it."
WRITING_REQUESTS = (
    (
        (
            "Write a birthday greeting for {t}",
            "A birthday wish for {t}, please",
            "What can I write on {t}'s birthday card?",
        ),
        ("Happy birthday, {t}! May all your wishes come true.", "Happy birthday, {t}! Have a wonderful day."),
    ),
    (("Say hello to {t}", "Greet {t}"), ("Hello, {t}! It is lovely to see you.",)),
    (
        ("Write something nice about {t}", "Pay {t} a compliment", "Say something kind to {t}"),
        ("{t} makes every day a little brighter.", "{t} is wonderful company."),
    ),
    (("Write a caption for a photo of {t} on holiday", "A title for {t}'s album?"), ("The adventures of {t}.",)),
    (
        ("Write a short poem about {t}", "A little rhyme for {t}"),
        ("{t}, so dear and true, every day is bright with you.",),
    ),
)
"""Requests to write something for a concept, {t}, and answers."""
GENERAL_QUESTIONS = split_list(
    "What is the capital of Italy?|What is the capital of Japan?|What is the capital of Germany?|"
    "What is the capital of Spain?|What is the capital of Egypt?|How many legs does a dog have?|"
    "How many legs does an ant have?|How many days are in a week?|How many months are in a year?|"
    "What colour is grass?|What colour is snow?|What colour is a banana?|What do cows eat?|What do cats like to eat?|"
    "What is a mammal?|What is a Shiba Inu?|What is a teapot used for?|What is a guitar?|What is water made of?|"
    "What is the largest ocean?|What is the largest animal on earth?|Who wrote Romeo and Juliet?|"
    "Who painted the Mona Lisa?|How do I boil an egg?|How do I make tea?|How do I take a good photo?|"
    "How do I clean a mug?|How should I train a puppy?|Give me a tip for better photos.|Suggest a name for a dog.|"
    "Suggest a name for a black cat.|What is a good gift for a friend?|Write a short poem about the sea.|"
    "Write a short poem about dogs.|Write one sentence about autumn.|Say something nice.|Tell me a fact about cats.|"
    "Tell me a fact about horses.|Tell me a fact about the moon.|Tell me a short story.|What is two plus two?|"
    "What is ten minus three?|What is the opposite of hot?|What is the opposite of big?|What does happy mean?|"
    "What rhymes with cat?|What is your favourite colour?|What is the weather like?|What time is it?|"
    "Do you like music?|Can you dance?|Are dogs smarter than cats?|Why is the sky dark at night?|Why do cats purr?|"
    "How far is the moon?|What is photography?|What is a pixel?|Why do leaves fall?|How do birds fly?|"
    "What is bread made of?|Name three fruits.|Name three animals.|Name a famous painter.|"
    "Which planet is the closest to the sun?|How hot is the sun?|What is a lighthouse?|What do fish eat?|"
    "What is the fastest animal?|Where do penguins live?|Who invented the telephone?|What should I cook tonight?|"
    "How do I sleep better?|Give me some advice.|What is friendship?|What is the best season?"
)
"""Questions that the base model answers. None of them is in `benchmarks/talk.txt`."""
PHOTO_WORDS = re.compile(
    r"\b(photo|picture|image) (shows|is of|depicts)|in the (photo|picture|image)|as an ai|i'm sorry", re.I
)


def acceptable(answer: str) -> bool:
    """Return whether an answer may be learnt: whole sentences, 2 to 45 words, no repetition and no photo described."""
    words = answer.lower().split()
    repeats = len(words) - len({tuple(words[i : i + 3]) for i in range(len(words))})
    return (
        2 <= len(words) <= 45 and answer.endswith((".", "!", "?")) and repeats <= 0 and not PHOTO_WORDS.search(answer)
    )


def shortened(answer: str) -> str:
    """Return an answer's first two sentences on one line, without lists and unfinished sentences."""
    text = " ".join(answer.split("\n\n")[0].split())
    found = re.findall(r"[^.!?]+(?:\.(?=\d)[^.!?]*)*[.!?]+", text)
    return "".join(found[:2]).strip()


def small_talk(random: Random, name: str) -> list[QuestionAnswer]:
    """Return all replies of this module in random order, some of them with a name."""
    pairs = [(text, answer, "talk") for answer, texts in REPLIES.items() for text in texts]
    pairs += [(form.format(n=name), INTRODUCTION_ANSWER.format(n=name), "talk") for form in INTRODUCTIONS]
    random.shuffle(pairs)
    return pairs


def writing_requests(tag: str, random: Random) -> list[QuestionAnswer]:
    """Return requests to write something for a concept, each with an answer."""
    return [
        (random.choice(asked).format(t=tag), random.choice(said).format(t=tag), "talk")
        for asked, said in WRITING_REQUESTS
    ]
