#![allow(missing_docs)]
use content_analysis::{features::Text, train::*};
use std::time::Instant;
fn main() {
    let data = std::env::args().nth(1).unwrap();
    let seeds: u64 = std::env::args().nth(2).unwrap().parse().unwrap();
    let mut ex = vec![];
    if data == "b" {
        let mut r = csv::Reader::from_path("/work/shared/data/banking77/train.csv").unwrap();
        for x in r.records() {
            let x = x.unwrap();
            ex.push(Example { text: x[0].into(), label: x[1].into() })
        }
    } else {
        for l in std::fs::read_to_string("/work/shared/data/sms-spam/train.tsv").unwrap().lines() {
            if let Some((a, b)) = l.split_once('\t') {
                ex.push(Example { text: b.into(), label: a.into() })
            }
        }
    }
    if std::env::args().nth(3).is_some() {
        fn mix(mut h: u64) -> u64 {
            h ^= h >> 33;
            h = h.wrapping_mul(0xff51afd7ed558ccd);
            h ^= h >> 33;
            h = h.wrapping_mul(0xc4ceb9fe1a85ec53);
            h ^= h >> 33;
            h
        }
        let mut all = 0.;
        let mut allf = 0.;
        for s in 0..seeds {
            let mut st: u64 = 1000 + s * 77;
            let mut ix: Vec<usize> = (0..ex.len()).collect();
            for i in (1..ix.len()).rev() {
                st = st.wrapping_add(0x9E3779B97F4A7C15);
                let j = (mix(st) % (i as u64 + 1)) as usize;
                ix.swap(i, j)
            }
            let h = ex.len() / 10;
            let tr: Vec<Example> = ix[h..].iter().map(|&i| ex[i].clone()).collect();
            let (m, _) = train(
                &tr,
                &TrainOptions {
                    held_out: 0.,
                    cost: std::env::var("C").map_or(1.0, |x| x.parse().unwrap()),
                    ..Default::default()
                },
                &mut |_| {},
            )
            .unwrap();
            let r = judge(&m, ix[..h].iter().map(|&i| &ex[i]), 4096);
            print!("{:.4} ", r.accuracy);
            all += r.accuracy;
            allf += r.categories.last().unwrap().f1;
        }
        println!("MEAN {:.4} f1 {:.4}", all / seeds as f64, allf / seeds as f64);
        return;
    }
    let mut sum = 0.;
    let mut sumf = 0.;
    let mut times = 0;
    for seed in 0..seeds {
        let t = Instant::now();
        let (m, r) = train(&ex, &TrainOptions { seed, ..Default::default() }, &mut |p| {
            if seed == 0 {
                eprintln!("{:?} {}", p, t.elapsed().as_secs_f32())
            }
        })
        .unwrap();
        let f = r.categories.last().unwrap().f1;
        println!(
            "seed {seed} n {} acc {:.4} macro {:.4} f1 {:.4} bytes {} rows {} {:.1}s",
            r.examples,
            r.accuracy,
            r.macro_f1,
            f,
            m.bytes().len(),
            m.rows(),
            t.elapsed().as_secs_f32()
        );
        sum += r.accuracy;
        sumf += f;
        if times == 0 {
            times = 1;
            let t = Instant::now();
            let mut k = 0;
            let mut top = 0.;
            let mut right = 0.;
            for e in &ex {
                let x = Text::read(&[&e.text], 4096);
                let g = m.classify(&x, 3);
                k += g.len();
                top += g[0].probability;
                if m.categories()[g[0].category] == e.label {
                    right += 1.
                }
            }
            println!(
                "us/pred {:.2} {k} mean top {:.3} acc on train {:.3}",
                t.elapsed().as_secs_f64() * 1e6 / ex.len() as f64,
                top / ex.len() as f32,
                right / ex.len() as f32
            );
            std::fs::write(format!("/tmp/exp/{data}.model"), m.bytes()).unwrap();
        }
    }
    println!("mean acc {:.4} f1 {:.4}", sum / seeds as f64, sumf / seeds as f64);
}
