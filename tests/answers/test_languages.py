"""Answers that are stated in other languages than English, and in other scripts."""

from __future__ import annotations

import pytest

from ember_bench.answers.formats import parse_answer
from ember_bench.answers.languages import LANGUAGES

CITIES = ("London", "Paris", "Rome", "Berlin")

# (text, format, answer)
STATED = [
    ("Правильный ответ \u2014 C.", "choice", "C"),
    ("La respuesta correcta es B.", "choice", "B"),
    ("La réponse est donc la lettre B.", "choice", "B"),
    ("Die richtige Antwort ist (C).", "choice", "C"),
    ("A resposta é a letra D.", "choice", "D"),
    ("Ответ: B", "choice", "B"),
    ("Правильный ответ: Г", "choice", "D"),
    ("الإجابة الصحيحة هي ب", "choice", "B"),
    ("الإجابة: (ج)", "choice", "C"),
    ("الجواب هو د.", "choice", "D"),
    ("התשובה הנכונה היא ג", "choice", "C"),
    ("תשובה: B", "choice", "B"),
    ("پاسخ: ج", "choice", "C"),
    ("जवाब B है", "choice", "B"),
    ("सही उत्तर B है।", "choice", "B"),
    ("উত্তর: C", "choice", "C"),
    ("Cevap B'dir.", "choice", "B"),
    ("Doğru cevap: C", "choice", "C"),
    ("Jawabannya adalah B.", "choice", "B"),
    ("Jibu ni C.", "choice", "C"),
    ("Jibu sahihi ni: B", "choice", "B"),
    ("คำตอบคือ B", "choice", "B"),
    ("คำตอบที่ถูกต้องคือ C", "choice", "C"),
    ("Đáp án đúng là B.", "choice", "B"),
    ("Đáp án: C", "choice", "C"),
    ("Odpowiedź: B", "choice", "B"),
    ("Prawidłowa odpowiedź to C.", "choice", "C"),
    ("Η σωστή απάντηση είναι το Β.", "choice", "B"),
    ("Il est clair que la bonne réponse est C.", "choice", "C"),
    ("La risposta corretta è D.", "choice", "D"),
    ("Rätt svar är B.", "choice", "B"),
    ("Svaret er C.", "choice", "C"),
    ("Răspunsul corect este B.", "choice", "B"),
    ("Správná odpověď je C.", "choice", "C"),
    ("Tačan odgovor je B.", "choice", "B"),
    ("Ìdáhùn: B", "choice", "B"),
    ("Idahun naa ni B.", "choice", "B"),
    ("Azịza bụ B.", "choice", "B"),
    ("Amsa: C", "choice", "C"),
    ("Mhinduro ndi B", "choice", "B"),
    ("Jawaabtu waa B", "choice", "B"),
    ("መልሱ B ነው", "choice", "B"),
    ("సమాధానం: B", "choice", "B"),
    ("පිළිතුර B", "choice", "B"),
    ("Yankho ndi B", "choice", "B"),
    ("Ny valiny dia B", "choice", "B"),
    ("Atsakymas: B", "choice", "B"),
    ("Туура жооп: B", "choice", "B"),
    ("Ang tamang sagot ay B.", "choice", "B"),
    ("Відповідь: B", "choice", "B"),
    ("答案選B", "choice", "B"),
    ("【答案】C", "choice", "C"),
    ("选B", "choice", "B"),
    ("故选：C", "choice", "C"),
    ("所以选择D。", "choice", "D"),
    ("因此，答案应该是选项B。", "choice", "B"),
    ("正解はBです。", "choice", "B"),
    ("正解は、Cです", "choice", "C"),
    ("答え：(B)", "choice", "B"),
    ("정답은 B입니다.", "choice", "B"),
    ("정답: C", "choice", "C"),
    ("답은 (B)이다.", "choice", "B"),
    ("따라서 정답은 B번입니다.", "choice", "B"),
    ("Bが正解です。", "choice", "B"),
    ("B가 정답입니다.", "choice", "B"),
    ("B est la bonne réponse.", "choice", "B"),
    ("La opción B es la correcta.", "choice", "B"),
    ("答案不是B。", "choice", None),
    ("答案不是A，而是B。", "choice", "B"),
    ("La respuesta no es A, sino B.", "choice", "B"),
    ("Die Antwort ist nicht A, sondern B.", "choice", "B"),
    ("因此，正确选项是B", "choice", "B"),
    ("正確選項為（C）。", "choice", "C"),
    ("答えはBではありません。", "choice", None),
    ("La respuesta no es B.", "choice", None),
    ("Die Antwort ist nicht B.", "choice", None),
    ("Ｂ", "choice", "B"),
    ("（Ｂ）", "choice", "B"),
    ("答案：Ｂ", "choice", "B"),
    ("Ⓑ", "choice", "B"),
    ("答案是B，因为A和C都不对。", "choice", "B"),
    ("答案是巴黎吗？不，选C。", "choice", "C"),
    ("正确答案是 B. Paris", "choice", "B"),
    ("La respuesta es Paris.", "choice", "B"),
    ("答えはパリです。", "text", "パリ"),
    ("La respuesta es París.", "text", "París"),
    ("La respuesta es 18.", "number", "18"),
    ("答案是18。", "number", "18"),
    ("答えは18です。", "number", "18"),
    ("Ответ: 18", "number", "18"),
    ("정답은 18입니다", "number", "18"),
    ("উত্তর: 18", "number", "18"),
    ("జవాబు: 18", "number", "18"),
    ("คำตอบคือ 18", "number", "18"),
    ("Jibu ni 18.", "number", "18"),
    ("Die Antwort lautet 18, da 3*6", "number", "18"),
    ("Cevap 18'dir", "number", "18"),
    ("We pick 选 3 个球, 答案是5", "number", "5"),
    ("答案：A、B和C", "choice", None),
    ("答案是A和B", "choice", None),
    ("La respuesta es A y B", "choice", None),
    ("ب", "choice", "B"),
    ("ג", "choice", "C"),
    ("(ب)", "choice", "B"),
    ("Ответ: Б", "choice", "B"),
    ("Ответ: В", "choice", None),
    ("ответ: С", "choice", "C"),
    ("उत्तर: ख", "choice", "B"),
    ("답: 나", "choice", "B"),
    ("Réponse : B", "choice", "B"),
    ("Réponse : 18", "number", "18"),
    ("Respuesta: [respuesta]", "choice", None),
    ("¡La respuesta es (A)!", "choice", "A"),
]


@pytest.mark.parametrize(("text", "form", "answer"), STATED)
def test_a_statement_in_any_language_is_read(text: str, form: str, answer: str | None) -> None:
    assert parse_answer(text, form, CITIES if form == "choice" else ()) == answer


@pytest.mark.parametrize("code", LANGUAGES)
def test_each_word_for_answer_states_a_letter_and_a_number_behind_a_colon(code: str) -> None:
    for noun in LANGUAGES[code].nouns:
        for word in (noun, noun.capitalize()):
            assert parse_answer(f"A, 3. {word}: C", "choice", CITIES) == "C"
            assert parse_answer(f"3 + 4\n{word}: 18\n5", "number") == "18"
            assert parse_answer(f"3 + 4\n{word}\uff1a18\n5", "number") == "18"


@pytest.mark.parametrize("code", LANGUAGES)
def test_each_verb_states_a_letter(code: str) -> None:
    language = LANGUAGES[code]
    gap = " " if language.spaced else ""
    for verb in language.verbs:
        assert parse_answer(f"A. {language.nouns[0]}{gap}{verb}{gap}C", "choice", CITIES) == "C"


@pytest.mark.parametrize("code", [code for code in LANGUAGES if LANGUAGES[code].spaced])
def test_a_negation_between_noun_and_verb_states_nothing(code: str) -> None:
    language = LANGUAGES[code]
    for negation in language.negations:
        for verb in language.verbs:
            said = f"{language.nouns[0]} {negation} {verb} C"
            assert parse_answer(said, "choice", CITIES) is None
