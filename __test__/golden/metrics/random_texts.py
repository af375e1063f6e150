"""Random texts in which every rule of the tokenisers meets every kind of character."""

import random

WORDS = "the a cat dog it's don't U.S. 3.14 1,000 end-to-end 5-4 well-known &quot;yes&quot; &amp;lt; &lt;b&gt; <skipped> e-\nmail".split(" ")
PIECES = [
    *WORDS, "", " ", "  ", "\t", "\u00a0", "\u3000", "\u2009", "\x85", "\x1c", "\ufeff", "\u200b", ".", ",", "...", "-", "--", "1.", ".5", "5,",
    "'", '"', "“", "”", "‘", "’", "–", "—", "…", "«", "»", "¿", "€", "£", "°", "½", "²", "٣", "៣", "Ⅷ", "①", "ß", "İ", "Σ", "ς",
    "ÀÉÎ", "naïve", "Straße", "Ünïcode", "привет", "мир", "שלום", "مرحبا", "नमस्ते", "你好", "世界", "猫", "狗。", "，", "！", "ＡＢ", "１２", "カタカナ",
    "ひらがな", "한국어", "㐀", "䶵", "䶶", "龥", "龻", "龼", "豈", "⺀", "⿰", "ㄅ", "㆐", "㈠", "㌀", "☀", "✀", "⠀", "𠀀", "😀", "🇩🇪", "\U0001d400",
    "e\u0301", "\u0301", "_", "`", "~", "^", "|", "\\", "/", "{", "}", "[", "]", "(", ")", "<", ">", "=", "+", "*", "&", "%", "$", "#", "@", "!", "?",
    ":", ";", "\n", "A", "b", "7", "0",
]


def line():
    if random.random() < 0.05:
        return ""
    joiner = random.choice([" ", " ", ""])
    return joiner.join(random.choice(PIECES) for _ in range(random.randint(1, 14)))


def disturbed(text):
    """Much of a text, so that n-grams match."""
    parts = text.split(" ")
    for _ in range(random.randint(0, 3)):
        at = random.randrange(len(parts))
        parts[at] = random.choice([parts[at], random.choice(PIECES), parts[at].upper(), ""])
    if random.random() < 0.2:
        parts = parts[: random.randint(0, len(parts))]
    return " ".join(parts)
