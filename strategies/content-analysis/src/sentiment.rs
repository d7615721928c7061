//! How content or upset a writer sounds.
//!
//! A lexicon of words with a valence of -4 to 4, turned by negations and made stronger or weaker by the words before
//! them, summed and squashed as in VADER: Hutto and Gilbert, "VADER: A Parsimonious Rule-based Model for Sentiment
//! Analysis of Social Media Text", ICWSM 2014. The lexicons are the project's own: what customers write to a company,
//! in English, and the basics in German, French and Spanish.
//!
//! Invariant: the score is -100 to 100 and 0 for a language without a lexicon. Nothing is written.

use crate::features::{ByWord, Text, hash};

/// Scores nearer to 0 are neutral.
pub const NEUTRAL_BELOW: i32 = 20;

/// VADER's constant: the valence that comes to half of the square of the score.
const SQUASH: f32 = 15.0;
/// How much a negation leaves, and turned round: "not good" is less bad than "bad".
const NEGATED: f32 = -0.74;
/// Words after a negation or an intensifier that it still bears on. A negation bears on a bad word only where that
/// comes next: "not bad", but "does not work, awful".
const REACH: usize = 3;

/// Tag, valences, negations, intensifiers, diminishers. Words without apostrophes.
type Lexicon = (&'static str, &'static [(i8, &'static str)], &'static str, &'static str, &'static str);

const LEXICONS: &[Lexicon] = &[
    (
        "en",
        &[
            (4, "excellent amazing awesome fantastic brilliant outstanding superb perfect wonderful"),
            (3, "great love loved lovely delighted thrilled impressed best happy pleased fabulous terrific grateful"),
            (
                2,
                "good nice thanks thank appreciate appreciated glad helpful satisfied recommend enjoy enjoyed friendly solved resolved pleasant kind easy fast smooth smoothly win won success successful",
            ),
            (1, "ok okay fine better welcome quick quickly clear useful hope correct safe"),
            (
                -1,
                "delay delayed late slow slowly confusing confused concern concerned sorry unclear expensive missing difficult hard lost pending unable lack waste",
            ),
            (
                -2,
                "bad wrong problem problems issue issues error errors fail failed fails failing failure broken annoying annoyed annoys upset unhappy unfair worried trouble complaint complain complaining poor rude unacceptable disappointed disappointing frustrated frustrating useless declined stolen stuck crash crashes crashed damaged refuse refused ignored unhelpful incorrect faulty cheated wasted",
            ),
            (
                -3,
                "terrible awful angry furious hate hated horrible ridiculous disgusted disgusting disgrace scam fraud fraudulent pathetic outrageous worst appalling dreadful incompetent infuriating livid lied liar lies cheat thieves",
            ),
        ],
        "not no never none nothing neither nor without dont doesnt didnt isnt wasnt arent werent cant cannot couldnt wont wouldnt shouldnt hasnt havent hadnt aint hardly barely",
        "very really extremely so totally absolutely completely incredibly utterly truly too super highly deeply",
        "slightly somewhat little bit fairly rather kinda partly",
    ),
    (
        "de",
        &[
            (4, "ausgezeichnet fantastisch hervorragend perfekt wunderbar großartig"),
            (3, "toll liebe begeistert super beste glücklich klasse prima spitze"),
            (
                2,
                "gut gute guter gutes danke dankbar freundlich hilfreich zufrieden gerne empfehle freue nett gelöst schnell erfolgreich einfach",
            ),
            (1, "ok okay besser funktioniert klar hoffe richtig sicher"),
            (-1, "verspätung verspätet spät langsam leider verwirrend unklar teuer fehlt schwierig verloren"),
            (
                -2,
                "schlecht schlechte schlechter falsch problem probleme fehler kaputt ärgerlich unzufrieden enttäuscht enttäuschend unfreundlich beschwerde nutzlos defekt abgelehnt gestohlen frustriert frustrierend unverschämt gescheitert",
            ),
            (
                -3,
                "schrecklich furchtbar wütend hasse katastrophe katastrophal lächerlich betrug betrogen schlimmste unmöglich frechheit unerträglich ekelhaft",
            ),
        ],
        "nicht kein keine keinen keiner nie niemals nichts ohne weder",
        "sehr wirklich extrem so total absolut völlig äußerst zu besonders",
        "etwas bisschen ziemlich wenig leicht",
    ),
    (
        "fr",
        &[
            (4, "excellent excellente parfait parfaite fantastique merveilleux formidable génial géniale"),
            (3, "super adore ravi ravie meilleur meilleure heureux heureuse magnifique"),
            (
                2,
                "bon bonne bien merci content contente satisfait satisfaite aimable utile agréable apprécie recommande résolu facile rapide",
            ),
            (1, "ok mieux fonctionne clair espère correct sûr"),
            (-1, "retard lent lente malheureusement confus cher chère manque difficile perdu perdue attente"),
            (
                -2,
                "mauvais mauvaise faux problème problèmes erreur erreurs cassé cassée ennuyeux mécontent mécontente déçu déçue décevant impoli plainte inutile refusé refusée volé volée frustré frustrant inacceptable échoué",
            ),
            (
                -3,
                "terrible horrible furieux furieuse déteste catastrophe ridicule arnaque fraude pire scandaleux honteux lamentable affreux colère",
            ),
        ],
        "pas ne jamais rien aucun aucune sans ni nai nest",
        "très vraiment extrêmement tellement totalement absolument complètement trop si",
        "peu légèrement assez plutôt",
    ),
    (
        "es",
        &[
            (4, "excelente perfecto perfecta fantástico fantástica maravilloso maravillosa increíble genial"),
            (3, "encanta encantado encantada mejor feliz estupendo estupenda"),
            (
                2,
                "bueno buena buen bien gracias contento contenta satisfecho satisfecha amable útil agradable agradezco recomiendo resuelto fácil rápido",
            ),
            (1, "ok funciona claro espero correcto seguro"),
            (-1, "retraso tarde lento lenta lamentablemente confuso caro cara falta difícil perdido perdida"),
            (
                -2,
                "mal malo mala incorrecto problema problemas error errores roto rota molesto molesta descontento decepcionado decepcionada grosero queja inútil rechazado rechazada robado robada frustrado frustrada inaceptable falló",
            ),
            (
                -3,
                "terrible horrible furioso furiosa odio desastre ridículo estafa fraude peor vergüenza pésimo pésima asqueroso enfadado enfadada",
            ),
        ],
        "no nunca nada ningún ninguna sin ni jamás tampoco",
        "muy realmente extremadamente tan totalmente absolutamente completamente demasiado",
        "poco ligeramente bastante algo",
    ),
];

/// What a word does to the sentiment.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Sense {
    Valence(f32),
    Negates,
    Scales(f32),
}

/// How a text sounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sentiment {
    /// -100 (very upset) to 100 (very content).
    pub score: i32,
}

impl Sentiment {
    /// `positive`, `neutral` or `negative`.
    pub fn label(self) -> &'static str {
        match self.score {
            NEUTRAL_BELOW.. => "positive",
            score if score > -NEUTRAL_BELOW => "neutral",
            _ => "negative",
        }
    }
}

/// The lexicons, ready to be looked into.
#[derive(Debug, Clone)]
pub struct Lexicons(Vec<(&'static str, ByWord<Sense>)>);

impl Lexicons {
    /// Builds the tables.
    pub fn new() -> Self {
        Self(LEXICONS.iter().map(table).collect())
    }

    /// How a text sounds that is in the language of this BCP 47 tag, or in English where none is known.
    pub fn judge(&self, text: &Text, language: Option<&str>) -> Sentiment {
        let primary = language.unwrap_or("en").split('-').next();
        let found = self.0.iter().find(|(tag, _)| primary == Some(*tag));
        let Some((_, table)) = found else {
            return Sentiment { score: 0 };
        };
        let mut sum = 0.0_f32;
        // How many words ago the last negation and the last intensifier were.
        let (mut negation, mut scale) = (usize::MAX, (usize::MAX, 1.0));
        for (letters, hash) in text.words() {
            negation = negation.saturating_add(1);
            scale.0 = scale.0.saturating_add(1);
            match table.get(&hash) {
                Some(sense) => match *sense {
                    Sense::Negates => negation = 0,
                    Sense::Scales(by) => scale = (0, by),
                    Sense::Valence(valence) => {
                        let reach = if valence < 0.0 { 1 } else { REACH };
                        let turned = if negation <= reach { NEGATED } else { 1.0 };
                        // A negation turns one word: "isn't helpful, awful".
                        negation = usize::MAX;
                        let scaled = if scale.0 <= REACH { scale.1 } else { 1.0 };
                        sum += valence * turned * scaled;
                    }
                },
                // A sentence, or a half of one, ends what its negation bears on.
                None if matches!(letters, ['!' | '?' | ';' | ':' | '-']) => {
                    (negation, scale) = (usize::MAX, (usize::MAX, 1.0));
                    if letters == ['!'] {
                        sum += 0.3 * sum.clamp(-1.0, 1.0);
                    }
                }
                None => {}
            }
        }
        Sentiment { score: (100.0 * sum / (sum * sum + SQUASH).sqrt()).round() as i32 }
    }
}

impl Default for Lexicons {
    fn default() -> Self {
        Self::new()
    }
}

fn table(lexicon: &Lexicon) -> (&'static str, ByWord<Sense>) {
    let (tag, valences, negations, intensifiers, diminishers) = *lexicon;
    let mut table = ByWord::default();
    let mut add = |words: &str, sense| {
        for word in words.split(' ') {
            table.insert(hash(word.chars()), sense);
        }
    };
    for (valence, words) in valences {
        add(words, Sense::Valence(f32::from(*valence)));
    }
    add(negations, Sense::Negates);
    add(intensifiers, Sense::Scales(1.3));
    add(diminishers, Sense::Scales(0.7));
    (tag, table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(text: &str, language: Option<&str>) -> i32 {
        Lexicons::new().judge(&Text::read(&[text], 4096), language).score
    }

    #[test]
    fn messages_sound_as_they_read() {
        for (label, language, text) in [
            ("positive", None, "Thank you, that was excellent service!"),
            ("positive", Some("en-GB"), "I love this app, not bad at all"),
            ("negative", None, "This is terrible, I am very angry"),
            ("negative", None, "I am not happy with the service"),
            ("negative", None, "Your support isn't helpful and my card doesn't work, awful"),
            ("neutral", None, "Where is the nearest branch?"),
            ("neutral", None, ""),
            ("positive", Some("de"), "Vielen Dank, das war wirklich sehr gut"),
            ("negative", Some("de"), "Das ist eine Frechheit, ich bin enttäuscht"),
            ("negative", Some("fr"), "Je suis très déçu, c'est inacceptable"),
            ("positive", Some("es"), "Muchas gracias, excelente servicio"),
            ("neutral", Some("ja"), "terrible"),
        ] {
            let found = Sentiment { score: score(text, language) };
            assert_eq!(found.label(), label, "{text}: {}", found.score);
        }
    }

    #[test]
    fn intensifiers_strengthen_and_negations_turn() {
        let plain = score("good", None);
        assert!(score("very good", None) > plain);
        assert!(score("slightly good", None) < plain);
        assert!(score("not good", None) < 0);
        assert!(score("not good", None) > score("bad", None));
        assert!(score("no! good", None) > 0);
    }

    #[test]
    fn the_score_stays_in_its_range() {
        for word in ["excellent ", "terrible ", "very terrible! "] {
            let score = score(&word.repeat(1000), None);
            assert!((90..=100).contains(&score.abs()), "{word}: {score}");
        }
    }
}
