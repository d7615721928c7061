//! Which language a text is in.
//!
//! Scripts of one language are told by their letters, Cyrillic by the letters that only one of two has, and Latin by
//! the small words that no sentence does without, each weighing the less the more languages have it. Small words are
//! read as whole tokens, so a short chat message needs only two or three of them; names and product words say nothing.
//!
//! Invariant: an unsure answer is none. A table lookup a word, and nothing is written.

use crate::features::{ByWord, Text, hash};
use std::collections::BTreeMap;

/// Least sum of weights for an answer. One word that only one language has weighs 1.
const WEIGHT_MIN: f32 = 1.4;
/// How many times the next best an answer must weigh.
const LEAD_MIN: f32 = 1.3;
/// What a letter that only few languages have weighs, shared among them.
const LETTER_WEIGHT: f32 = 0.5;

/// Languages in Latin letters: tag, small words, letters that are not of every language.
const LATIN: &[(&str, &str, &str)] = &[
    (
        "en",
        "the a an and or of to in on is are was were be been have has had do does did not no i you he she it we they my your his her our their this that these those what when where why how who which can could will would should with for from by at as but if so there any some please am im ive dont cant wont didnt isnt me get still after before about into than then just",
        "",
    ),
    (
        "de",
        "der die das ein eine einen einem einer und oder aber nicht kein keine ist sind war waren bin habe hat haben hatte ich du er sie es wir ihr mein meine meinen meiner dein ihre unser was wann wo warum wie wer welche kann können konnte will würde soll mit für von bei auf aus an im zu zum zur auch noch schon wenn dass sehr bitte mir mich uns nach über hier",
        "äöüß",
    ),
    (
        "fr",
        "le la les un une des du de et ou mais pas ne est sont était suis ai a ont avez avons je tu il elle nous vous ils mon ma mes ton votre vos notre ce cette ces que qui quoi quand où pourquoi comment peut puis pouvez avec pour par dans sur sous au aux en plus très bien merci jai cest quel quelle toujours encore depuis être avoir fait",
        "éèêçàùœîôû",
    ),
    (
        "es",
        "el la los las un una unos de del y o pero no es son era fue soy estoy está he ha han tengo tiene yo tú él ella nosotros ustedes mi mis tu su sus este esta esto que qué quién cuándo dónde porque cómo puede puedo pueden con para por en sobre al se lo le me más muy gracias todavía cuando como hay hacer quiero",
        "ñáíóúé",
    ),
    (
        "it",
        "il lo la i gli le un una uno di del della dei e o ma non è sono era ho ha hai hanno abbiamo io tu lui lei noi voi mio mia tuo sua questo questa che chi cosa quando dove perché come può posso con per da in su al alla nel si mi ci più molto grazie ancora anche se stato essere vorrei",
        "èàòìù",
    ),
    (
        "pt",
        "o a os as um uma de do da dos das e ou mas não é são era foi sou estou está tenho tem têm eu tu ele ela nós vocês você meu minha seu sua este esta isso que quem quando onde porque como pode posso com para por em no na nos ao se me mais muito obrigado ainda já fazer quero",
        "ãõçáâêéíóú",
    ),
    (
        "nl",
        "de het een en of maar niet geen is zijn was waren ben heb heeft hebben had ik jij je hij zij wij we u mijn jouw uw zijn haar ons onze dit dat deze die wat wanneer waar waarom hoe wie kan kunnen wil zou moet met voor van bij op uit aan in naar ook nog al als dan er om te graag mij",
        "ëï",
    ),
    (
        "sv",
        "en ett och eller men inte är var har hade jag du han hon det den vi ni de min mitt mina din er vår detta som vad när var varför hur vem kan kunde vill skulle ska med för från av på i till om att mycket också än tack mig kort finns fått",
        "åäö",
    ),
    (
        "da",
        "en et og eller men ikke er var har havde jeg du han hun det den vi i de min mit mine din jeres vores dette som hvad hvornår hvor hvorfor hvordan hvem kan kunne vil ville skal med for fra af på til om at meget også mig tak blev noget",
        "æøå",
    ),
    (
        "nb",
        "en et og eller men ikke er var har hadde jeg du han hun det den vi dere de min mitt mine din deres vår dette som hva når hvor hvorfor hvordan hvem kan kunne vil ville skal med for fra av på til om at veldig også meg takk ble noe etter",
        "æøå",
    ),
    (
        "pl",
        "i w z na do nie jest są był była mam ma mają ja ty on ona my wy oni mój moja moje twój to ten ta te co kiedy gdzie dlaczego jak kto który która może mogę można po dla od za przez o się mnie jeszcze już czy ale lub proszę dziękuję bardzo jestem",
        "ąćęłńśźż",
    ),
    (
        "cs",
        "a v z na do ne je jsou byl byla mám má mají já ty on ona my vy oni můj moje tvůj to ten ta co kdy kde proč jak kdo který která může mohu po pro od za přes o se mi mě ještě už ale nebo prosím děkuji velmi jsem není",
        "áčďéěíňřšťúůýž",
    ),
    (
        "fi",
        "ja tai mutta ei en on ovat oli olen ole minä sinä hän me te he minun sinun se tämä mitä milloin missä miksi miten kuka voi voin haluan kanssa varten että jos kun niin myös vielä jo kiitos hyvin minulla mun kortti",
        "äö",
    ),
    (
        "tr",
        "ve veya ama değil bir bu şu o ben sen biz siz onlar benim senin var yok mı mi mu mü ne zaman nerede neden nasıl kim hangi için ile gibi kadar daha çok lütfen teşekkürler hala henüz sonra önce istiyorum kartım olarak",
        "şğıçöü",
    ),
];

/// Scripts that are as good as one language: tag, first and last letter, more than one range each where need be.
const SCRIPTS: &[(&str, char, char)] = &[
    ("el", '\u{370}', '\u{3ff}'),
    ("he", '\u{590}', '\u{5ff}'),
    ("ar", '\u{600}', '\u{6ff}'),
    ("hi", '\u{900}', '\u{97f}'),
    ("th", '\u{e00}', '\u{e7f}'),
    ("ko", '\u{ac00}', '\u{d7af}'),
    ("ja", '\u{3040}', '\u{30ff}'),
    ("zh", '\u{4e00}', '\u{9fff}'),
    ("ru", '\u{400}', '\u{4ff}'),
];
/// Letters of Ukrainian that Russian has not.
const UKRAINIAN: &str = "іїєґ";

/// The tags of every language that can be told.
pub fn known() -> impl Iterator<Item = &'static str> {
    let latin = LATIN.iter().map(|(tag, ..)| *tag);
    latin.chain(SCRIPTS.iter().map(|(tag, ..)| *tag)).chain(["uk"])
}

/// The languages that are considered, ready to be told apart.
#[derive(Debug, Clone)]
pub struct Languages {
    /// Latin languages, in the order of the bits of the masks.
    latin: Vec<&'static str>,
    /// Which languages have a small word.
    words: ByWord<u32>,
    letters: Vec<(char, u32)>,
    considered: Vec<&'static str>,
}

impl Languages {
    /// Considers the languages of these tags, or all where there are none.
    ///
    /// # Errors
    /// The first tag that is not [known].
    pub fn new(tags: &[String]) -> Result<Self, String> {
        if let Some(odd) = tags.iter().find(|tag| !known().any(|k| k == tag.as_str())) {
            return Err(odd.clone());
        }
        let wanted = |tag: &str| tags.is_empty() || tags.iter().any(|t| t == tag);
        let (mut words, mut letters) = (ByWord::default(), BTreeMap::new());
        let mut latin = Vec::new();
        for (tag, small, own) in LATIN.iter().filter(|(tag, ..)| wanted(tag)) {
            let bit = 1_u32 << latin.len();
            latin.push(*tag);
            for word in small.split(' ') {
                *words.entry(hash(word.chars())).or_insert(0) |= bit;
            }
            for letter in own.chars() {
                *letters.entry(letter).or_insert(0) |= bit;
            }
        }
        Ok(Self {
            latin,
            words,
            letters: letters.into_iter().collect(),
            considered: known().filter(|tag| wanted(tag)).collect(),
        })
    }

    /// The BCP 47 tag of a text's language; `None` where it is not sure.
    pub fn tell(&self, text: &Text) -> Option<&'static str> {
        let (mut latin, mut scripts, mut ukrainian) = (0_u32, [0_u32; SCRIPTS.len()], false);
        let mut weights = [0.0_f32; LATIN.len()];
        for &letter in text.letters() {
            if letter.is_ascii() {
                latin += u32::from(letter.is_ascii_alphabetic());
            } else if letter < '\u{250}' {
                latin += 1;
                if let Ok(at) = self.letters.binary_search_by_key(&letter, |(l, _)| *l) {
                    share(self.letters[at].1, LETTER_WEIGHT, &mut weights);
                }
            } else {
                let found = SCRIPTS.iter().position(|(_, a, z)| (*a..=*z).contains(&letter));
                if let Some(at) = found {
                    scripts[at] += 1;
                    ukrainian |= UKRAINIAN.contains(letter);
                }
            }
        }
        let (at, count) =
            scripts.iter().enumerate().fold((0, 0), |best, (at, &n)| if n > best.1 { (at, n) } else { best });
        // A letter of Chinese or Korean says as much as a word.
        if count >= 2 && count * 2 > latin {
            return self.other(SCRIPTS[at].0, &scripts, ukrainian);
        }
        for (_, hash) in text.words() {
            if let Some(mask) = self.words.get(&hash) {
                share(*mask, 1.0, &mut weights);
            }
        }
        self.heaviest(&weights)
    }

    fn other(&self, tag: &str, scripts: &[u32], ukrainian: bool) -> Option<&'static str> {
        // Japanese is written with Chinese signs between its own.
        let kana = SCRIPTS.iter().zip(scripts);
        let kana = kana.filter(|((tag, ..), _)| *tag == "ja").any(|(_, n)| *n > 0);
        let tag = match tag {
            "zh" if kana => "ja",
            "ru" if ukrainian => "uk",
            tag => tag,
        };
        self.considered.iter().copied().find(|known| *known == tag)
    }

    fn heaviest(&self, weights: &[f32]) -> Option<&'static str> {
        let (mut best, mut next) = ((0, 0.0), 0.0);
        for (at, &weight) in weights.iter().enumerate() {
            if weight > best.1 {
                next = best.1;
                best = (at, weight);
            } else if weight > next {
                next = weight;
            }
        }
        (best.1 >= WEIGHT_MIN && best.1 >= LEAD_MIN * next).then(|| self.latin.get(best.0).copied()).flatten()
    }
}

/// Shares a weight among the languages of a mask.
fn share(mut mask: u32, weight: f32, weights: &mut [f32]) {
    let part = weight / mask.count_ones().max(1) as f32;
    while mask != 0 {
        if let Some(sum) = weights.get_mut(mask.trailing_zeros() as usize) {
            *sum += part;
        }
        mask &= mask - 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_messages_are_told_apart() {
        let languages = Languages::new(&[]).expect("all are known");
        for (tag, text) in [
            (Some("en"), "I am still waiting on my card"),
            (Some("en"), "Why was I charged a fee for this payment?"),
            (Some("de"), "Meine Karte ist noch nicht angekommen"),
            (Some("de"), "Wo ist mein Geld?"),
            (Some("fr"), "Je n'ai pas encore reçu ma carte"),
            (Some("es"), "Todavía no he recibido mi tarjeta"),
            (Some("it"), "Non ho ancora ricevuto la mia carta"),
            (Some("pt"), "Ainda não recebi o meu cartão"),
            (Some("nl"), "Ik heb mijn kaart nog niet ontvangen"),
            (Some("sv"), "Jag har inte fått mitt kort än"),
            (Some("pl"), "Moja karta jeszcze nie przyszła, co mogę zrobić?"),
            (Some("cs"), "Moje karta ještě nepřišla, co mohu dělat?"),
            (Some("fi"), "Minun kortti ei ole vielä saapunut"),
            (Some("tr"), "Kartım hala gelmedi, ne zaman gelir?"),
            (Some("ru"), "Где моя карта?"),
            (Some("uk"), "Моя картка ще не надійшла"),
            (Some("el"), "Πού είναι η κάρτα μου;"),
            (Some("ja"), "カードがまだ届きません"),
            (Some("zh"), "我的卡还没有到"),
            (Some("ko"), "카드가 아직 도착하지 않았어요"),
            (None, ""),
            (None, "12345"),
            (None, "Visa Mastercard PIN"),
        ] {
            assert_eq!(languages.tell(&Text::read(&[text], 4096)), tag, "{text}");
        }
    }

    #[test]
    fn only_languages_that_are_considered_are_told() {
        let languages = Languages::new(&["de".to_owned(), "fr".to_owned()]).expect("known");
        assert_eq!(languages.tell(&Text::read(&["Где моя карта?"], 4096)), None);
        let german = Text::read(&["Wo ist mein Geld?"], 4096);
        assert_eq!(languages.tell(&german), Some("de"));
        assert_eq!(Languages::new(&["tlh".to_owned()]).err().as_deref(), Some("tlh"));
    }
}
