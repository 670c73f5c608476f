"""Small tables of the shapes that people publish: exports of programs, data sets, archives in any language.

`PUBLISHED` is as `TABLES` in odd_tables.py: the columns, the title, the columns of the text. All of it is
invented.
"""

from __future__ import annotations

from odd_tables import Maker, Writer, number, same


def either(first: bool, maker: Maker) -> Maker:
    """A column that has a value in every other row."""
    return lambda w: maker(w) if (w.i % 2 == 0) == first else None


def words(*vocabulary: str, count: int = 6) -> Maker:
    return lambda w: " ".join(w.random.choices(vocabulary, k=count))


GEORGIAN = words("ქართული", "ენა", "მდინარე", "მთა", "წიგნი", "ქალაქი", "ბავშვები")
ARMENIAN = words("գիրք", "քաղաք", "լեռ", "գետ", "երեխա", "ջուր", "ճանապարհ")
AMHARIC = words("ኢትዮጵያ", "ከተማ", "መጽሐፍ", "ዝናብ", "ልጆች", "ወንዝ", "ተራራ")
TELUGU = words("పుస్తకం", "నది", "ఊరు", "పిల్లలు", "వాన", "కొండ")
THAI = words("หนังสือ", "แม่น้ำ", "เด็ก", "เมือง", "ฝน", "ภูเขา")
TIBETAN = words("བོད་ཡིག", "དཔེ་ཆ", "རི་མོ", "ཆུ་བོ", "ཉི་མ", "ཟླ་བ")
CHINESE = words("河边", "清晨", "城里", "下雨", "孩子", "书店", count=5)
LANGUAGES = ("bg", "cs", "da", "de", "el", "et", "hu", "lv", "mt", "sk")

Table = tuple[dict[str, Maker], str | None, tuple[str, ...]]
PUBLISHED: dict[str, Table] = {
    "court opinions": (
        {"id": number, "case_name": lambda w: f"{w.name()} v. {w.name()}", "type": same("010combined")}
        | {"plain_text": either(True, Writer.text)}
        | {"html_with_citations": either(False, lambda w: f"<p>{w.paragraph()}</p><p>{w.paragraph()}</p>")},
        "case_name",
        ("plain_text", "html_with_citations"),
    ),
    "an old and a new editor": (
        {"title": Writer.title, "body_markdown": either(True, Writer.text)}
        | {"body_rich": either(False, lambda w: f"<div>{w.paragraph()}</div><div>{w.paragraph()}</div>")},
        "title",
        ("body_markdown", "body_rich"),
    ),
    "petitions, of which few were answered": (
        {"id": number, "action": Writer.sentence, "background": lambda w: f"{w.sentence()} {w.sentence()}"}
        | {"additional_details": either(True, Writer.paragraph), "state": same("open")}
        | {"government_response_summary": lambda w: w.sentence() if w.i % 5 == 0 else None}
        | {"government_response_details": lambda w: w.text() * 3 if w.i % 5 == 0 else None},
        None,
        (
            "action",
            "background",
            "additional_details",
            "government_response_summary",
            "government_response_details",
        ),
    ),
    "posts of Tumblr": (
        {"id": number, "type": lambda w: ["text", "photo"][w.i % 2], "summary": Writer.sentence}
        | {"caption": either(False, lambda w: f"<p>{w.paragraph()}</p>")}
        | {"body": either(True, lambda w: f"<p>{w.paragraph()}</p><p>{w.paragraph()}</p>")},
        "summary",
        ("body", "caption"),
    ),
    "notes in few rows": (
        {"title": Writer.title, "author": Writer.name, "tags": words("tea", "bread, ", "cheese")}
        | {"review": lambda w: w.text() if w.i % 3 == 0 else None},
        "title",
        ("review",),
    ),
    "preferences": (
        {"prompt": Writer.sentence, "rejected": lambda w: w.text() * 2, "chosen": Writer.text},
        None,
        ("prompt", "chosen"),
    ),
    "a search index": (
        {"type": same("twitter.db/tweets"), "key": Writer.hash, "title": Writer.title}
        | {"search_1": Writer.text, "search_2": same("simonw"), "search_3": same(None)},
        "title",
        ("search_1",),
    ),
    "books without their texts": (
        {"title": Writer.title, "category": same("books"), "path": lambda w: f"Ann Lee/{w.title()} ({w.i})"},
        None,
        ("title",),
    ),
    "quoted keys": (
        {"id": lambda w: f'"{w.uuid()}"', "title": Writer.title, "note": Writer.paragraph},
        "title",
        ("note",),
    ),
    "a full-text index": (
        {"docid": number, "c0body": Writer.text, "c1subject": Writer.title, "c2author": Writer.name},
        "c1subject",
        ("c0body",),
    ),
    "short questions": (
        {"Best part?": Writer.paragraph, "What should we change?": Writer.sentence, "Age": number},
        None,
        ("Best part?", "What should we change?"),
    ),
    "translations": (
        {"celex": Writer.hash} | dict.fromkeys(LANGUAGES, Writer.paragraph),
        None,
        LANGUAGES,
    ),
    "translations with a stem": (
        {"key": Writer.hash} | {f"text_{language}": Writer.paragraph for language in LANGUAGES},
        None,
        tuple(f"text_{language}" for language in LANGUAGES),
    ),
    "a wiki": (
        {
            "page_title": lambda w: w.title().replace(" ", "_"),
            "rev_sha1": Writer.hash,
            "old_text": Writer.text,
        },
        "page_title",
        ("old_text",),
    ),
    "a data frame": (
        {"Headline ": Writer.title, "Full Text": Writer.text, "Byline": lambda w: w.pick("nan", "Ann Lee")},
        "Headline ",
        ("Full Text",),
    ),
    "Windows line ends": (
        {"title": Writer.title, "body": lambda w: f"{w.paragraph()}\r\n\r\n{w.paragraph()}"},
        "title",
        ("body",),
    ),
    "სტატიები": ({"სათაური": GEORGIAN, "ტექსტი": lambda w: f"{GEORGIAN(w)}. " * 5}, "სათაური", ("ტექსტი",)),
    "հոդվածներ": (
        {"վերնագիր": ARMENIAN, "տեքստ": lambda w: f"{ARMENIAN(w)}. " * 5},
        "վերնագիր",
        ("տեքստ",),
    ),
    "ዜና": ({"ርዕስ": AMHARIC, "ጽሑፍ": lambda w: f"{AMHARIC(w)}። " * 5}, "ርዕስ", ("ጽሑፍ",)),
    "వార్తలు": ({"శీర్షిక": TELUGU, "వచనం": lambda w: f"{TELUGU(w)}. " * 5}, "శీర్షిక", ("వచనం",)),
    "ข่าว": (
        {"หัวข้อข่าว": THAI, "เนื้อหาข่าว": lambda w: f"{THAI(w)} " * 5},
        "หัวข้อข่าว",
        ("เนื้อหาข่าว",),
    ),
    "དཔེ་ཆ།": (
        {"ཨང": number, "མཚན་བྱང": TIBETAN, "ནང་དོན": lambda w: f"{TIBETAN(w)}། " * 9, "སྡེ་ཚན": same("དེབ")},
        "མཚན་བྱང",
        ("ནང་དོན",),
    ),
    "小说": (
        {"书名": same("石头记"), "章节": CHINESE, "内容": lambda w: f"{CHINESE(w)}。" * 5},
        "章节",
        ("内容",),
    ),
}
# Tables without any prose: no label or key is learned in its place.
WITHOUT_TEXT: dict[str, dict[str, Maker]] = {
    "steps counted": {
        "type": same("HKQuantityTypeIdentifierStepCount"),
        "sourceName": same("Ann's phone"),
        "unit": same("count"),
        "startDate": Writer.date,
    },
    "a server's log": {
        "operation": same("REST.GET.OBJECT"),
        "request_uri": lambda w: f"GET /img/{w.hash()}.png HTTP/1.1",
    },
    "files": {"md5": Writer.hash, "mime": same("image/png"), "kind": lambda w: w.pick("photo", "drawing")},
    "short keys": {"id": lambda w: f"{w.hash()[:6]}7", "score": number},
}
