"""Words and marks that became text, by sacremoses' MosesDetokenizer: writes detokenized.json.

Random lines of words, marks, quotation marks and entities, and sentences cut by MosesTokenizer, for languages with rules of their own and without.
What sconce does on purpose in another way is left out: n't as a token, and the apostrophe of print. Full-width marks come for Chinese and Japanese,
where the test takes the spaces around them away.
"""

import json
import random

from sacremoses import MosesDetokenizer, MosesTokenizer

random.seed(20261203)
LANGUAGES = ["en", "de", "fr", "it", "es", "zh", "ja", "ko"]
COMMON = (
    "the dog Jones bit l' qu' dell' d' L' été Straße 3 12 1,000 $ € £ ₹ $3 ( ) [ ] { } ¿ ¡ (( )) , . ? ! : ; ... ?! % \\ ' \" '' `` ` \"\" „ “ „“ « » - -- @-@ @,@ "
    "'s 's 'll 're 'm 'Tis ' @ & &amp; &quot; &apos; &#91; &#93; &lt; &gt; &#124; &bar; &bra; &ket; &amp;lt; &amp;quot; x's s' * + = / _ ~ ^ 我 我们 北京A A北京 가다 ｶﾞ é́"
).split(" ")
WIDE = "我 在 北京 大学 ， 。 ！ ？ ； ： （ ） 、 《 》 「 」 Python 3 すし を 食べる 가다".split(" ")
SENTENCES = {
    "en": ["He said, \"I can't — the Jones' house costs $3,000 (or 5%)!\"", "Tom's well-known boys' club: it's 9:30 a.m.; isn't it?", "'Hello,' she said."],
    "de": ["Er sagte: „Hallo, Welt!“ und ging (leise) weg.", "Das kostet 5 % mehr, z. B. 3,50 €.", "Ist das wahr? Ja!"],
    "fr": ["Qu'est-ce que c'est ? L'été, c'est l'été !", "« Bonjour », dit-il : 5 % de l'eau.", "Aujourd'hui, j'ai 3 €."],
    "it": ["L'uomo dell'anno: un'amica?", "C'è l'acqua (poca)."],
    "es": ["¿Qué tal? ¡Hola, mundo!", "Dijo: \"no\"."],
    "zh": ["我在北京大学。", "我用 Python 3 写《书》、喝茶。"],
    "ja": ["すしを食べる。", "「はい」と言った。"],
    "ko": ["안녕하세요.", "그는 \"네\" 라고 했다."],
}


def line(language):
    words = WIDE if language in ("zh", "ja") and random.random() < 0.5 else COMMON
    return [random.choice(words) for _ in range(random.randint(1, 14))]


cases = []
for language in LANGUAGES:
    detokenizer, tokenizer = MosesDetokenizer(lang=language), MosesTokenizer(lang=language)
    lists = [line(language) for _ in range(250)]
    for sentence in SENTENCES[language]:
        for hyphens in (False, True):
            tokens = tokenizer.tokenize(sentence, aggressive_dash_splits=hyphens)
            if "n't" not in tokens:
                lists.append(tokens)
    for tokens in lists:
        unescape = random.random() < 0.8
        cases.append([language, unescape, " ".join(tokens), detokenizer.detokenize(tokens, unescape=unescape)])
with open("detokenized.json", "w", encoding="utf-8") as file:
    json.dump(cases, file, ensure_ascii=True, separators=(",", ":"))
    file.write("\n")
