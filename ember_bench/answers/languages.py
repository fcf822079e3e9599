"""The words for "answer" and "is" in the languages of multilingual benchmarks, as data.

They are those of MMMLU, Global-MMLU, MGSM and the larger ones of Belebele; English has more forms,
and they stand in `claims`. All words are in lower case, as they stand in a sentence.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Language(NamedTuple):
    """Words that state an answer.

    Attributes:
        nouns: "Answer", in its forms; a form that begins another one stands after it.
        verbs: What may stand between the noun and the answer, beside a colon or a dash.
        negations: Words that turn a statement into its contrary.
        bare: The answer may follow the noun directly, as where the verb ends the sentence.
        spaced: Words have spaces between them.
    """

    nouns: tuple[str, ...]
    verbs: tuple[str, ...]
    negations: tuple[str, ...] = ()
    bare: bool = False
    spaced: bool = True


LANGUAGES: Final[dict[str, Language]] = {
    "af": Language(("antwoord",), ("is",), ("nie",)),
    "am": Language(("መልሱ", "መልስ"), ("ነው",), bare=True),
    "ar": Language(
        ("الإجابة", "الاجابة", "الجواب", "إجابة", "جواب"),
        ("هي", "هو", "يكون", "تكون"),
        ("ليست", "ليس", "لا"),
        bare=True,
    ),
    "az": Language(("cavab",), ("budur",), ("deyil",), bare=True),
    "bg": Language(("отговорът", "отговор"), ("е",), ("не",)),
    "bn": Language(("উত্তরটি", "উত্তর"), ("হল", "হলো", "হচ্ছে", "হবে"), ("নয়",), bare=True),
    "ca": Language(("resposta",), ("és", "seria"), ("no",)),
    "cs": Language(("odpověď", "odpovědí"), ("je", "zní"), ("není",)),
    "da": Language(("svaret", "svar"), ("er",), ("ikke",)),
    "de": Language(
        ("antwort",), ("ist", "lautet", "wäre", "beträgt"), ("nicht", "kein", "keine")
    ),
    "el": Language(("απάντηση", "απαντηση"), ("είναι", "ειναι"), ("δεν",)),
    "es": Language(
        ("respuesta",), ("es", "sería", "será", "son"), ("no", "nunca", "tampoco")
    ),
    "et": Language(("vastus",), ("on",), ("ei",)),
    "eu": Language(("erantzuna",), ("da",), ("ez",), bare=True),
    "fa": Language(("پاسخ", "جواب"), ("برابر", "عبارت", "است"), ("نیست",), bare=True),
    "fi": Language(("vastaus",), ("on",), ("ei",)),
    "fil": Language(("sagot", "kasagutan"), ("ay",), ("hindi",)),
    "fr": Language(
        ("réponse", "reponse"), ("est", "serait", "sera", "sont"), ("pas", "jamais")
    ),
    "gl": Language(("resposta",), ("é", "sería"), ("non",)),
    "gu": Language(("જવાબ",), ("છે",), ("નથી",), bare=True),
    "ha": Language(("amsar", "amsa"), ("ita ce", "shi ne", "ce", "ne"), ("ba",)),
    "he": Language(("התשובה", "תשובה"), ("היא", "הוא", "הינה"), ("אינה", "לא"), bare=True),
    "hi": Language(("उत्तर", "जवाब"), ("है", "होगा"), ("नहीं",), bare=True),
    "hr": Language(("odgovor",), ("je", "glasi"), ("nije",)),
    "hu": Language(("válasz",), ("az", "a"), ("nem",), bare=True),
    "hy": Language(("պատասխանը", "պատասխան"), ("է",), ("չէ",), bare=True),
    "id": Language(("jawaban", "jawapan"), ("adalah", "ialah", "yaitu", "yakni"), ("bukan",)),
    "ig": Language(("azịza", "aziza"), ("bụ", "bu"), ("abụghị",)),
    "is": Language(("svarið", "svar"), ("er",), ("ekki",)),
    "it": Language(("risposta",), ("è", "sarebbe", "sarà", "e'"), ("non",)),
    "ja": Language(
        ("答え", "解答", "回答", "正解", "正答", "答"),
        ("としては", "は", "が"),
        ("ない",),
        bare=True,
        spaced=False,
    ),
    "ka": Language(("პასუხი", "პასუხია"), ("არის",), ("არ",), bare=True),
    "kk": Language(("жауабы", "жауап"), (), ("емес",), bare=True),
    "km": Language(("ចម្លើយ",), ("គឺ", "ជា"), ("មិន",), bare=True, spaced=False),
    "kn": Language(("ಉತ್ತರ",), (), bare=True),
    "ko": Language(
        ("정답", "답변", "답안", "해답", "답"), ("은", "는", "이", "가"), bare=True, spaced=False
    ),
    "ky": Language(("жообу", "жооп"), ("бул",), ("эмес",), bare=True),
    "lo": Language(("ຄຳຕອບ", "ຄໍາຕອບ"), ("ແມ່ນ", "ຄື"), ("ບໍ່",), bare=True, spaced=False),
    "lt": Language(("atsakymas",), ("yra",), ("ne", "nėra")),
    "lv": Language(("atbilde",), ("ir",), ("nav",)),
    "mg": Language(("valiny", "valinteny"), ("dia", "dia ny"), ("tsy",)),
    "mk": Language(("одговорот", "одговор"), ("е",), ("не",)),
    "ml": Language(("ഉത്തരം",), (), bare=True),
    "mn": Language(("хариулт", "хариу"), ("бол", "нь"), ("биш",), bare=True),
    "mr": Language(("उत्तर",), ("आहे",), ("नाही",), bare=True),
    "ms": Language(("jawapan", "jawaban"), ("ialah", "adalah", "iaitu"), ("bukan",)),
    "my": Language(("အဖြေ",), ("မှာ", "သည်", "က"), bare=True, spaced=False),
    "ne": Language(("उत्तर", "जवाफ"), ("हो",), ("होइन",), bare=True),
    "nl": Language(("antwoord",), ("is", "luidt", "zou"), ("niet", "geen")),
    "no": Language(("svaret", "svar"), ("er",), ("ikke",)),
    "ny": Language(("yankho",), ("ndi", "ndilo"), ("si",)),
    "pa": Language(("ਜਵਾਬ", "ਉੱਤਰ"), ("ਹੈ",), ("ਨਹੀਂ",), bare=True),
    "pl": Language(("odpowiedź", "odpowiedzią"), ("to", "jest", "brzmi"), ("nie",)),
    "pt": Language(("resposta",), ("é", "seria", "será", "são"), ("não",)),
    "ro": Language(("răspunsul", "răspuns", "raspunsul", "raspuns"), ("este", "e"), ("nu",)),
    "ru": Language(("ответ", "ответом"), ("это", "является", "будет", "равен"), ("не",), bare=True),
    "si": Language(("පිළිතුර",), ("වන්නේ",), bare=True),
    "sk": Language(("odpoveď",), ("je", "znie"), ("nie",)),
    "sl": Language(("odgovor",), ("je", "se glasi"), ("ni",)),
    "sn": Language(("mhinduro",), ("ndi", "ndeye", "ndeyekuti"), ("haisi",)),
    "so": Language(("jawaabta", "jawaab"), ("waa",), ("ma", "aha")),
    "sq": Language(("përgjigjja", "përgjigja", "përgjigje"), ("është",), ("nuk",)),
    "sr": Language(("одговор", "odgovor"), ("је", "гласи", "je", "glasi"), ("није", "nije")),
    "st": Language(("karabo",), ("ke",), ("hase",)),
    "sv": Language(("svaret", "svar"), ("är", "blir"), ("inte", "ej")),
    "sw": Language(("jibu", "majibu"), ("ni", "litakuwa"), ("si", "sio", "siyo")),
    "ta": Language(("பதில்", "விடை"), ("என்பது",), bare=True),
    "te": Language(("సమాధానం", "జవాబు"), ("ఏమిటంటే",), ("కాదు",), bare=True),
    "th": Language(("คำตอบ", "เฉลย"), ("คือ", "เป็น", "ได้แก่"), ("ไม่",), bare=True, spaced=False),
    "tr": Language(("cevabı", "cevap", "yanıtı", "yanıt"), ("şudur",), ("değil",), bare=True),
    "uk": Language(("відповіддю", "відповідь"), ("це", "є", "буде"), ("не",), bare=True),
    "ur": Language(("جواب",), ("ہے", "ہوگا"), ("نہیں",), bare=True),
    "uz": Language(("javobi", "javob"), ("bu",), ("emas",), bare=True),
    "vi": Language(("đáp án", "câu trả lời", "trả lời", "đáp số"), ("là",), ("không",)),
    "xh": Language(("impendulo",), ("ngu", "yi", "yile", "ngu-"), ("ayikho",)),
    "yo": Language(("ìdáhùn", "idahun"), ("ni", "jẹ́", "jẹ", "je"), ("kì", "kii")),
    "zh": Language(
        ("答案", "正解", "答", "正确选项", "正確選項"),
        ("应该是", "應該是", "应当是", "就是", "则为", "即为", "選擇", "选择", "应选", "選項",
         "选项", "是", "为", "為", "選", "选"),
        ("不", "非", "没", "並非", "并非"),
        bare=True,
        spaced=False,
    ),
    "zu": Language(("impendulo",), ("ngu", "yi", "ithi"), ("ayikho",)),
}  # fmt: skip

# "We choose B": only a letter can be chosen so.
PICKS: Final = (
    "故选项", "故選項", "故选", "故選", "应选", "應選", "因此选", "因此選", "所以选", "所以選",
    "我选", "我選", "选择", "選擇", "选", "選",
)  # fmt: skip

# Behind the answer, where the verb or its negation ends the sentence.
ENDINGS: Final = (
    "でしょう", "になります", "となります", "である", "です", "だ",
    "입니다", "이에요", "예요", "이다",
    " है", " हैं", " होगा", " ہے", " است", " ነው", " हो", " आहे", " છે", " ਹੈ", " ஆகும்", " է",
    "'dir", "'dır", "'dur", "'dür", "'tir", "'tır", "'tur", "'tür",
    "\u2019dir", "\u2019dır", "\u2019dur", "\u2019dür",
    "\u2019tir", "\u2019tır", "\u2019tur", "\u2019tür",
)  # fmt: skip
DENIALS: Final = (
    "ではな", "ではあり", "じゃな", "でない", "가 아니", "이 아니", "가 아닙", "이 아닙", " नहीं",
    " নয়", " نہیں", " نیست", " değil", " емес", " эмес", " deyil", " emas", " కాదు",
    " होइन", " नाही",
)  # fmt: skip

# "B is correct": behind the letter, within its sentence.
CORRECT: Final = (
    "正确", "正確", "正解", "正しい", "정답", "맞", "옳",
    "correcta", "correcto", "correcte", "exacte", "corretta", "corretto", "giusta", "correta",
    "correto", "certa", "corect", "richtig", "korrekt", "juist", "rätt", "riktig", "rigtig",
    "верн", "правильн", "вірн", "poprawn", "prawidłow", "správn", "helyes", "oikea",
    "doğru", "benar", "betul", "tama", "sahihi", "đúng", "σωστ", "נכונ",
    "صحيح", "درست", "सही", "সঠিক", "ถูกต้อง",
)  # fmt: skip
