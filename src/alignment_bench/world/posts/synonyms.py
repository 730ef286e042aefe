"""How people say the world's values in their own words: a table per kind of fact.

An entry is ``wording: value`` where the wording means that value and nothing else, and
``wording: "value other"`` where it is looser: each of these values is then half right ("upset" is half right
for angry, sad and hurt, and wrong for happy). ``value! other`` is fully right for the first and half for the
rest ("wrecked" for ruined, half for broke). Verbs are given as "base past participle", regular ones as the
base alone; what follows a `+` belongs to every form ("make off + with"). Every value is also its own wording.
"""

from __future__ import annotations

PEOPLE = {
    "boss": "boss! manager", "employer": "boss! manager", "supervisor": "boss! manager",
    "superior": "boss manager", "manager": "manager! boss", "sister": "sister", "sis": "sister",
    "brother": "brother", "bro": "brother", "sibling": "sister brother", "neighbour": "neighbour",
    "neighbor": "neighbour", "guy next door": "neighbour", "person next door": "neighbour",
    "woman next door": "neighbour", "man next door": "neighbour", "roommate": "roommate",
    "room mate": "roommate", "flatmate": "roommate", "flat mate": "roommate", "housemate": "roommate",
    "friend": "friend", "buddy": "friend", "pal": "friend", "mate": "friend", "bff": "friend",
    "cousin": "cousin", "aunt": "aunt", "auntie": "aunt", "aunty": "aunt", "uncle": "uncle",
    "landlord": "landlord", "landlady": "landlord", "property owner": "landlord", "teacher": "teacher",
    "professor": "teacher", "instructor": "teacher! coach", "tutor": "teacher", "coach": "coach",
    "trainer": "coach", "mother": "mother", "mom": "mother", "mum": "mother", "mama": "mother",
    "mommy": "mother", "mummy": "mother", "father": "father", "dad": "father", "daddy": "father",
    "papa": "father", "parent": "mother father", "colleague": "colleague", "coworker": "colleague",
    "co-worker": "colleague", "co worker": "colleague", "workmate": "colleague",
    "fellow worker": "colleague", "doctor": "doctor", "physician": "doctor", "gp": "doctor",
    "barber": "barber", "hairdresser": "barber", "hair stylist": "barber", "hairstylist": "barber",
    "tenant": "tenant", "renter": "tenant", "lodger": "tenant! roommate", "nephew": "nephew",
    "plumber": "plumber", "student": "student", "pupil": "student", "partner": "partner",
    "boyfriend": "partner", "girlfriend": "partner", "husband": "partner", "wife": "partner",
    "spouse": "partner", "significant other": "partner", "fiance": "partner", "fiancee": "partner",
    "driver": "driver", "chauffeur": "driver", "cabbie": "driver", "family member": "RELATIVE",
    "relative": "RELATIVE", "relation": "RELATIVE",
}  # fmt: skip
RELATIVES = "sister brother cousin aunt uncle mother father nephew partner"
"""Who may be meant by RELATIVE in `PEOPLE`."""
WOMEN, MEN = ("sister", "aunt", "mother"), ("brother", "uncle", "father", "nephew")
"""Whom "she" cannot mean and whom "he" cannot mean are the other ones; the rest may be either."""

DEEDS = {
    "break broke broken": "broke", "smash": "broke", "shatter": "broke", "crack": "broke", "snap": "broke",
    "damage": "broke ruined scratched burned cut dropped", "bust": "broke ruined", "sell sold sold": "sold",
    "sell sold sold + off": "sold", "auction": "sold", "auction + off": "sold", "flog": "sold",
    "pawn": "sold", "put put put + up for sale": "sold", "get got gotten + rid of": "sold lost buried",
    "lose lost lost": "lost", "misplace": "lost", "mislay mislaid mislaid": "lost",
    "steal stole stolen": "stole", "swipe": "stole", "nick": "stole", "pinch": "stole", "nab": "stole",
    "pilfer": "stole", "run ran run + off with": "stole", "make made made + off with": "stole",
    "walk + off with": "stole", "take took taken": "stole borrowed kept", "borrow": "borrowed",
    "hide hid hidden": "hid", "conceal": "hid", "stash": "hid", "stash + away": "hid", "tuck + away": "hid",
    "put put put + out of sight": "hid", "burn": "burned", "burn burnt burnt": "burned",
    "burn + down": "burned", "burn + up": "burned", "torch": "burned", "scorch": "burned", "char": "burned",
    "singe": "burned", "set set set + fire to": "burned", "paint": "painted", "repaint": "painted",
    "paint + over": "painted", "scratch": "scratched", "scrape": "scratched", "scuff": "scratched",
    "key keyed keyed": "scratched", "scratch + up": "scratched", "drop": "dropped",
    "let let let + fall": "dropped", "let let let + slip": "dropped", "ruin": "ruined",
    "wreck": "ruined! broke", "destroy": "ruined! broke burned", "spoil": "ruined", "trash": "ruined",
    "total": "ruined", "mess + up": "ruined", "return": "returned", "give gave given + back": "returned",
    "bring brought brought + back": "returned", "hand + back": "returned", "clean": "cleaned! washed",
    "clean + up": "cleaned", "clean + out": "cleaned", "scrub": "cleaned washed", "wipe + down": "cleaned",
    "polish": "cleaned", "tidy": "cleaned", "tidy + up": "cleaned", "copy": "copied", "duplicate": "copied",
    "photocopy": "copied", "plagiarize": "copied", "plagiarise": "copied",
    "make made made + a copy of": "copied", "make made made + copies of": "copied",
    "keep kept kept": "kept", "hold held held + on to": "kept", "hold held held + onto": "kept",
    "hang hung hung + on to": "kept", "hang hung hung + onto": "kept", "retain": "kept",
    "withhold withheld withheld": "kept", "refuse + to give back": "kept", "refuse + to return": "kept",
    "refuse + to hand over": "kept", "wash": "washed! cleaned", "launder": "washed", "rinse": "washed",
    "open": "opened", "open + up": "opened", "unlock": "opened", "pry + open": "opened",
    "repair": "repaired", "fix": "repaired", "mend": "repaired", "fix + up": "repaired",
    "patch + up": "repaired", "restore": "repaired", "cut cut cut": "cut", "cut cut cut + up": "cut",
    "cut cut cut + open": "cut", "slice": "cut", "slash": "cut", "chop": "cut", "chop + up": "cut",
    "snip": "cut", "saw sawed sawn": "cut", "bury": "buried", "inter": "buried",
    "dig dug dug + a hole for": "buried",
}  # fmt: skip
DEEDS_APART = {
    "give gave given back": "returned", "bring brought brought back": "returned", "hand back": "returned",
    "set set set on fire": "burned", "light lit lit on fire": "burned", "put put put up for sale": "sold",
    "put put put in the ground": "buried",
    "let let let fall": "dropped", "tear tore torn apart": "ruined", "pry open": "opened",
}  # fmt: skip
"""Verbs whose particle comes after the thing: "gave the wallet back"."""
DEEDS_AS_NOUNS = {
    "theft": "stole", "sale": "sold", "loss": "lost", "repair": "repaired", "repairs": "repaired",
    "return": "returned", "destruction": "ruined", "burial": "buried",
}  # fmt: skip
NO_DEEDS = (
    "broke up", "broke down", "broke the news", "break up", "broke the law", "lost track", "lost trust",
    "lost my temper", "lost her temper", "lost his temper", "lost their temper", "lost hope",
    "lost interest", "feel lost", "feels lost", "felt lost", "lost contact", "lost sleep", "kept quiet",
    "kept calm", "keep calm", "keep in touch", "keep quiet", "cut ties", "cut off", "cut contact",
    "take place", "took place", "dropped off", "opened up about", "take care",
    "takes care", "took care", "take action", "take advantage", "took advantage", "take it", "takes it",
    "taken aback", "in return", "for sale", "keeps thinking", "broken home", "closed book", "by the book",
    "watch out", "watch it", "call it a day", "cut short", "took it", "cut it out", "phone call",
    "a phone call", "under repair",
)  # fmt: skip
"""Phrases with a verb or noun of the tables that mean something else."""

THINGS = {
    "laptop": "laptop", "computer": "laptop", "macbook": "laptop", "notebook": "laptop book",
    "pc": "laptop", "car": "car", "automobile": "car", "vehicle": "car! bike boat", "bike": "bike",
    "bicycle": "bike", "cycle": "bike", "phone": "phone", "cellphone": "phone", "cell phone": "phone",
    "mobile": "phone", "mobile phone": "phone", "smartphone": "phone", "iphone": "phone",
    "telephone": "phone", "sofa": "sofa", "couch": "sofa", "settee": "sofa", "guitar": "guitar",
    "camera": "camera", "watch": "watch", "wristwatch": "watch", "timepiece": "watch", "ring": "ring",
    "wedding ring": "ring", "coat": "coat", "overcoat": "coat", "winter coat": "coat", "raincoat": "coat",
    "book": "book", "novel": "book", "paperback": "book", "manuscript": "book", "bag": "bag",
    "handbag": "bag", "backpack": "bag", "rucksack": "bag", "purse": "bag wallet", "book bag": "bag",
    "piano": "piano", "grand piano": "piano", "instrument": "piano guitar",
    "musical instrument": "piano guitar", "tent": "tent", "boat": "boat", "sailboat": "boat",
    "dinghy": "boat", "vessel": "boat", "lamp": "lamp", "desk lamp": "lamp", "light": "lamp",
    "desk": "desk", "writing desk": "desk", "mirror": "mirror", "looking glass": "mirror",
    "kettle": "kettle", "tea kettle": "kettle", "teapot": "kettle", "jacket": "jacket! coat",
    "blazer": "jacket", "wallet": "wallet", "billfold": "wallet", "drone": "drone", "quadcopter": "drone",
    "fridge": "fridge", "refrigerator": "fridge", "ladder": "ladder", "stepladder": "ladder",
}  # fmt: skip

FEELINGS = {
    "angry": "angry", "angered": "angry", "mad": "angry", "furious": "angry", "livid": "angry",
    "enraged": "angry", "irate": "angry", "annoyed": "angry", "pissed": "angry", "pissed off": "angry",
    "ticked off": "angry", "outraged": "angry", "fuming": "angry", "seething": "angry",
    "irritated": "angry", "frustrated": "angry sad bored", "resentful": "angry jealous",
    "upset": "angry sad hurt worried", "sad": "sad", "saddened": "sad", "unhappy": "sad",
    "heartbroken": "sad! hurt", "miserable": "sad", "depressed": "sad", "gloomy": "sad", "dejected": "sad",
    "sorrowful": "sad", "devastated": "sad! hurt", "disappointed": "sad hurt", "in tears": "sad",
    "feel down": "sad", "feels down": "sad", "feeling down": "sad", "happy": "happy", "glad": "happy",
    "pleased": "happy", "delighted": "happy", "thrilled": "happy", "overjoyed": "happy", "joyful": "happy",
    "cheerful": "happy", "elated": "happy", "over the moon": "happy", "content": "happy calm",
    "grateful": "happy relieved", "thankful": "happy relieved", "scared": "scared", "afraid": "scared",
    "frightened": "scared", "terrified": "scared", "fearful": "scared", "freaked out": "scared",
    "spooked": "scared", "alarmed": "scared worried", "tired": "tired", "exhausted": "tired",
    "weary": "tired", "worn out": "tired", "fatigued": "tired", "drained": "tired", "sleepy": "tired",
    "burned out": "tired", "burnt out": "tired", "fed up": "angry tired bored", "proud": "proud",
    "guilty": "guilty", "remorseful": "guilty! ashamed", "to blame": "guilty",
    "feeling bad": "guilty sad ashamed", "feels bad": "guilty sad ashamed",
    "feel bad": "guilty sad ashamed", "lonely": "lonely", "alone": "lonely", "isolated": "lonely",
    "lonesome": "lonely", "calm": "calm", "relaxed": "calm", "at peace": "calm", "peaceful": "calm",
    "composed": "calm", "serene": "calm", "unbothered": "calm", "at ease": "calm", "cool about": "calm",
    "confused": "confused", "puzzled": "confused", "baffled": "confused", "bewildered": "confused",
    "perplexed": "confused", "bemused": "confused", "at a loss": "confused",
    "does not understand": "confused", "do not understand": "confused", "jealous": "jealous",
    "envious": "jealous", "ashamed": "ashamed", "embarrassed": "ashamed", "humiliated": "ashamed! hurt",
    "mortified": "ashamed", "bored": "bored", "boring": "bored", "uninterested": "bored",
    "indifferent": "bored calm", "worried": "worried", "worries": "worried", "anxious": "worried! scared",
    "concerned": "worried", "nervous": "worried! scared", "uneasy": "worried", "troubled": "worried sad",
    "relieved": "relieved", "hurt": "hurt", "wounded": "hurt", "betrayed": "hurt", "hurts": "hurt",
    "hurting": "hurt", "pained": "hurt",
}  # fmt: skip
FEELINGS_AS_NOUNS = {
    "anger": "angry", "rage": "angry", "fury": "angry", "annoyance": "angry", "sadness": "sad",
    "sorrow": "sad", "grief": "sad", "happiness": "happy", "joy": "happy", "delight": "happy",
    "fear": "scared", "tiredness": "tired", "exhaustion": "tired", "pride": "proud", "guilt": "guilty",
    "remorse": "guilty! ashamed", "loneliness": "lonely", "confusion": "confused", "envy": "jealous",
    "jealousy": "jealous", "shame": "ashamed", "embarrassment": "ashamed", "boredom": "bored",
    "worry": "worried", "anxiety": "worried", "relief": "relieved",
}  # fmt: skip

WISHES = {
    "sue": "sue", "take + to court": "sue", "go + to court": "sue", "take legal action": "sue",
    "legal action": "sue", "lawsuit": "sue", "file suit": "sue", "press charges": "sue",
    "move out": "move out", "find a new place": "move out", "find another place": "move out",
    "find a new home": "move out", "find somewhere else to live": "move out",
    "new place to live": "move out", "move somewhere else": "move out! leave town",
    "move away": "move out leave town", "leave the house": "move out", "leave the apartment": "move out",
    "leave the flat": "move out", "move": "move out", "call the police": "call the police",
    "call the cops": "call the police", "call police": "call the police", "the police": "call the police",
    "the cops": "call the police", "police": "call the police", "cops": "call the police",
    "authorities": "call the police", "get a refund": "get a refund", "refund": "get a refund",
    "money back": "get a refund", "refunded": "get a refund", "reimbursed": "get a refund",
    "reimbursement": "get a refund", "ask for help": "ask for help", "ask + for help": "ask for help",
    "get help": "ask for help", "get some help": "ask for help", "seek help": "ask for help",
    "find help": "ask for help",
    "find + help": "ask for help",
    "get + help": "ask for help",
    "leave + town": "leave town", "ask for assistance": "ask for help", "ask for support": "ask for help",
    "request help": "ask for help", "need help": "ask for help", "look for help": "ask for help",
    "reach out for help": "ask for help", "asking others for help": "ask for help",
    "seek assistance": "ask for help", "say sorry": "say sorry", "say + sorry": "say sorry",
    "tell + sorry": "say sorry",
    "apologize": "say sorry", "apologise": "say sorry", "make an apology": "say sorry",
    "offer an apology": "say sorry", "make amends": "say sorry", "make it right": "say sorry",
    "ask for forgiveness": "say sorry", "forget": "forget it", "forget it": "forget it",
    "forget about": "forget it", "let it go": "forget it", "let + go": "forget it",
    "move on": "forget it! start again", "put + behind": "forget it", "drop the matter": "forget it",
    "leave it behind": "forget it", "leave town": "leave town", "leave the city": "leave town",
    "leave the town": "leave town", "leave the area": "leave town", "leave the village": "leave town",
    "get out of town": "leave town", "get away from town": "leave town", "skip town": "leave town",
    "leave": "leave town move out", "get away": "leave town take a break", "stay home": "stay home",
    "stay at home": "stay home", "stay in": "stay home", "remain home": "stay home",
    "remain at home": "stay home", "stay indoors": "stay home", "stay inside": "stay home",
    "stay put": "stay home", "talk it over": "talk it over", "talk + over": "talk it over",
    "talk it out": "talk it over", "talk it through": "talk it over", "talk about it": "talk it over",
    "talk to": "talk it over", "talk with": "talk it over", "talk": "talk it over",
    "discuss": "talk it over", "have a talk": "talk it over", "have a conversation": "talk it over",
    "speak with": "talk it over", "speak to": "talk it over", "speak about it": "talk it over",
    "start again": "start again", "start over": "start again", "start afresh": "start again",
    "fresh start": "start again", "new start": "start again", "new beginning": "start again",
    "begin again": "start again", "start from scratch": "start again", "clean slate": "start again",
    "start anew": "start again", "begin anew": "start again", "write a letter": "write a letter",
    "write + a letter": "write a letter", "send a letter": "write a letter",
    "send + a letter": "write a letter", "letter": "write a letter", "write to": "write a letter",
    "find a lawyer": "find a lawyer", "lawyer": "find a lawyer", "attorney": "find a lawyer",
    "solicitor": "find a lawyer", "legal help": "find a lawyer", "legal advice": "find a lawyer",
    "legal counsel": "find a lawyer", "legal representation": "find a lawyer",
    "take a break": "take a break", "break": "take a break", "take time off": "take a break",
    "time off": "take a break", "rest": "take a break", "step back": "take a break",
    "time out": "take a break", "take a pause": "take a break", "take it easy": "take a break",
    "vacation": "take a break", "holiday": "take a break", "take a breather": "take a break",
    "change the locks": "change the locks", "change locks": "change the locks",
    "new locks": "change the locks", "change + locks": "change the locks",
    "replace + locks": "change the locks", "locks": "change the locks", "locks changed": "change the locks",
    "lock changed": "change the locks", "locks replaced": "change the locks",
    "tell everybody": "tell everybody", "tell everyone": "tell everybody",
    "let everyone know": "tell everybody", "let everybody know": "tell everybody",
    "tell the world": "tell everybody", "spread the word": "tell everybody", "go public": "tell everybody",
    "make it public": "tell everybody", "tell all": "tell everybody", "tell people": "tell everybody",
    "share the news": "tell everybody", "announce": "tell everybody",
    "share + with everyone": "tell everybody", "inform everyone": "tell everybody",
}  # fmt: skip
"""The first word stands for all its forms where it is a verb; `+` for up to three words in between."""
ONLY_IF_WANTED = {
    "move", "leave", "talk", "talk to", "talk with", "speak to", "speak with", "break", "forget", "rest",
    "move on", "discuss", "forget about", "stay in", "announce", "holiday", "vacation", "letter",
    "get away", "need help", "write to", "step back", "tell people", "police", "authorities", "move away",
    "talk about it",
}  # fmt: skip
"""Wordings that are a wish only after "wants to" and the like: by themselves they may say anything."""
IRREGULAR = {
    "take": "took taken taking", "go": "went gone going", "find": "found finding", "leave": "left leaving",
    "get": "got gotten getting", "say": "said saying", "make": "made making",
    "forget": "forgot forgotten forgetting", "let": "let letting", "put": "put putting",
    "speak": "spoke spoken speaking", "begin": "began begun beginning", "write": "wrote written writing",
    "send": "sent sending", "tell": "told telling", "seek": "sought seeking", "have": "had having",
    "hire": "hired hiring", "sue": "sued suing",
}  # fmt: skip

INSULTS = {
    "idiot", "idiots", "clown", "clowns", "loser", "losers", "moron", "morons", "jerk", "jerks", "asshole",
    "assholes", "bastard", "scumbag", "dumbass", "imbecile", "fool", "bitch", "dick", "creep", "scum",
    "pig", "idiotic", "moronic",
}  # fmt: skip
RUDE_ADJECTIVES = {
    "stupid", "awful", "useless", "dumb", "filthy", "pathetic", "lazy", "worthless", "ugly", "damn",
    "goddamn", "fucking", "lousy", "rotten", "nasty", "disgusting", "dirty",
}  # fmt: skip
"""Rude when said of a person, not of a thing or of a feeling ("I feel awful")."""
PADDING = (
    "so basically", "basically", "to be honest", "honestly", "long story short", "as you can imagine",
    "believe it or not", "that is all for now", "you know how it is", "it is what it is", "needless to say",
    "in a nutshell", "at the end of the day", "that is it", "that is all", "that is about it", "anyway",
    "thanks for reading", "thank you for reading", "throwaway account", "sorry for the long post", "hi all",
    "hi everyone", "hello there", "hello everyone", "long time reader here", "what more can i say",
    "as i said", "this is my first post", "please be honest with me", "i mean", "or something", "and so on",
    "you know", "if you will", "to make a long story short", "when all is said and done",
    "for what it is worth", "and all that",
)  # fmt: skip
