//! The properties of characters that patterns know by name, and which of the names all versions of Go share.

use regex_syntax::{
    ParserBuilder,
    hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind},
};

use super::refusal::Reason;

/// The categories of Go 1.15. `C` is apart: what it means depends on the version.
const CATEGORIES: &str = " Cc Cf Co Cs L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z \
    Zl Zp Zs ";
/// The scripts of Go 1.15, which has Unicode 12.
const SCRIPTS: &str = " Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak \
    Bengali Bhaiksuki Bopomofo Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian Caucasian_Albanian Chakma \
    Cham Cherokee Common Coptic Cuneiform Cypriot Cyrillic Deseret Devanagari Dogra Duployan Egyptian_Hieroglyphs \
    Elbasan Elymaic Ethiopic Georgian Glagolitic Gothic Grantha Greek Gujarati Gunjala_Gondi Gurmukhi Han Hangul \
    Hanifi_Rohingya Hanunoo Hatran Hebrew Hiragana Imperial_Aramaic Inherited Inscriptional_Pahlavi \
    Inscriptional_Parthian Javanese Kaithi Kannada Katakana Kayah_Li Kharoshthi Khmer Khojki Khudawadi Lao Latin \
    Lepcha Limbu Linear_A Linear_B Lisu Lycian Lydian Mahajani Makasar Malayalam Mandaic Manichaean Marchen \
    Masaram_Gondi Medefaidrin Meetei_Mayek Mende_Kikakui Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mongolian \
    Mro Multani Myanmar Nabataean Nandinagari New_Tai_Lue Newa Nko Nushu Nyiakeng_Puachue_Hmong Ogham Ol_Chiki \
    Old_Hungarian Old_Italic Old_North_Arabian Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic Oriya \
    Osage Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang Runic Samaritan \
    Saurashtra Sharada Shavian Siddham SignWriting Sinhala Sogdian Sora_Sompeng Soyombo Sundanese Syloti_Nagri \
    Syriac Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri Tamil Tangut Telugu Thaana Thai Tibetan Tifinagh Tirhuta \
    Ugaritic Vai Wancho Warang_Citi Yi Zanabazar_Square ";
/// Scripts that came after, up to Go 1.27, which has Unicode 17.
const LATER_SCRIPTS: &str = " Beria_Erfe Chorasmian Cypro_Minoan Dives_Akuru Garay Gurung_Khema Kawi \
    Khitan_Small_Script Kirat_Rai Nag_Mundari Ol_Onal Old_Uyghur Sidetic Sunuwar Tai_Yo Tangsa Todhri Tolong_Siki \
    Toto Tulu_Tigalari Vithkuqi Yezidi ";
/// Names that Go takes from 1.25 on, without the signs and the case that it does not heed, and what says the same
/// before.
const LATER_NAMES: [(&str, &str); 48] = [
    ("ascii", r"[\x00-\x7f]"),
    ("assigned", ""),
    ("casedletter", r"[\p{Lu}\p{Ll}\p{Lt}]"),
    ("closepunctuation", r"\p{Pe}"),
    ("cn", ""),
    ("cntrl", r"\p{Cc}"),
    ("combiningmark", r"\p{M}"),
    ("connectorpunctuation", r"\p{Pc}"),
    ("control", r"\p{Cc}"),
    ("currencysymbol", r"\p{Sc}"),
    ("dashpunctuation", r"\p{Pd}"),
    ("decimalnumber", r"\p{Nd}"),
    ("digit", r"\p{Nd}"),
    ("enclosingmark", r"\p{Me}"),
    ("finalpunctuation", r"\p{Pf}"),
    ("format", r"\p{Cf}"),
    ("initialpunctuation", r"\p{Pi}"),
    ("lc", r"[\p{Lu}\p{Ll}\p{Lt}]"),
    ("letter", r"\p{L}"),
    ("letternumber", r"\p{Nl}"),
    ("lineseparator", r"\p{Zl}"),
    ("lowercaseletter", r"\p{Ll}"),
    ("mark", r"\p{M}"),
    ("mathsymbol", r"\p{Sm}"),
    ("modifierletter", r"\p{Lm}"),
    ("modifiersymbol", r"\p{Sk}"),
    ("nonspacingmark", r"\p{Mn}"),
    ("number", r"\p{N}"),
    ("openpunctuation", r"\p{Ps}"),
    ("other", r"[\p{Cc}\p{Cf}\p{Co}]"),
    ("otherletter", r"\p{Lo}"),
    ("othernumber", r"\p{No}"),
    ("otherpunctuation", r"\p{Po}"),
    ("othersymbol", r"\p{So}"),
    ("paragraphseparator", r"\p{Zp}"),
    ("privateuse", r"\p{Co}"),
    ("punct", r"\p{P}"),
    ("punctuation", r"\p{P}"),
    ("separator", r"\p{Z}"),
    ("spaceseparator", r"\p{Zs}"),
    ("spacingmark", r"\p{Mc}"),
    ("surrogate", r"\p{Cs}"),
    ("symbol", r"\p{S}"),
    ("titlecaseletter", r"\p{Lt}"),
    ("unassigned", ""),
    ("uppercaseletter", r"\p{Lu}"),
    ("any", r"\p{Any}"),
    ("c", r"[\p{Cc}\p{Cf}\p{Co}]"),
];

/// What is wrong with a name, and what could stand for `\p{name}`, or nothing.
pub(super) type Unknown = (Reason, Option<String>);

/// The characters of this property. For those that a later Unicode has assigned the answer is the one of
/// `regex-syntax`, which has a version of its own, as each Go has.
pub(super) fn lookup(name: &str) -> Result<ClassUnicode, Unknown> {
    let query = match name {
        "Any" => return Ok(ClassUnicode::new([ClassUnicodeRange::new('\0', char::MAX)])),
        // Halves of UTF-16: no text has them.
        "Cs" => return Ok(ClassUnicode::empty()),
        "C" => return Err((Reason::CategoryC, Some(r"[\p{Cc}\p{Cf}\p{Co}]".to_owned()))),
        _ if is_in(CATEGORIES, name) => format!(r"\p{{gc={name}}}"),
        _ if is_in(SCRIPTS, name) => format!(r"\p{{sc={name}}}"),
        _ => return Err(unknown(name)),
    };
    let parsed = ParserBuilder::new().build().parse(&query).map(regex_syntax::hir::Hir::into_kind);
    match parsed {
        Ok(HirKind::Class(Class::Unicode(class))) => Ok(class),
        _ => Err((Reason::Property, None)),
    }
}

fn unknown(name: &str) -> Unknown {
    let plain = loose(name);
    if let Some((_, instead)) = LATER_NAMES.iter().find(|(later, _)| *later == plain) {
        return (Reason::PropertyOfLater, Some((*instead).to_owned()).filter(|instead| !instead.is_empty()));
    }
    let known = |list: &'static str| list.split_ascii_whitespace().find(|known| loose(known) == plain);
    match known(CATEGORIES).or_else(|| known(SCRIPTS)) {
        Some(known) => (Reason::PropertyOfLater, Some(format!(r"\p{{{known}}}"))),
        None if known(LATER_SCRIPTS).is_some() => (Reason::PropertyOfLater, None),
        None => (Reason::Property, None),
    }
}

fn is_in(list: &str, name: &str) -> bool {
    list.split_ascii_whitespace().any(|known| known == name)
}

/// A name as Go compares it from 1.25 on.
fn loose(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect()
}
