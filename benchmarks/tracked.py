"""Which attributes one single latent tells: python benchmarks/tracked.py RUN DATA --skip 7000

Prints a Markdown table of every attribute, its best latent, the AUC and its 95 % interval: one half of the
images chooses the latent, the other half measures.
"""

import argparse

import pellucid
from pellucid.latents.activity import encode_dataset, measure_activity
from pellucid.latents.tracking import best_of_each, track

WANTED = 0.75


def main() -> None:
    """Measure one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("data")
    parser.add_argument("--skip", type=int, default=0)
    arguments = parser.parse_args()
    model = pellucid.load(arguments.run, device="cpu")
    pre = model.config.preprocessing
    dataset = pellucid.open_dataset(
        arguments.data, size=pre.size, channels=pre.channels, crop=pre.crop, skip=arguments.skip
    )
    if dataset.attributes is None:
        raise SystemExit("these images have no attributes")
    rows = dataset.rows("all")
    codes = encode_dataset(model, dataset, rows)
    known = dataset.attributes
    best = best_of_each(track(codes.mean, known.lookup(rows), known.names, known.kinds))
    active = int(measure_activity(codes).active.sum())
    print(f"{active} of {model.latents} latents active; {len(rows):,} images, half of them measure\n")
    print("| attribute | latent | AUC | 95 % | with it | above chance |\n|---|---|---|---|---|---|")
    for found in best:
        interval = f"{found.low:.2f}-{found.high:.2f}"
        print(
            f"| {found.attribute} | z{found.latent} | {found.value:.3f} | {interval} | {found.positives} "
            f"| {'yes' if found.above_chance else 'no'} |"
        )
    print(f"\n{sum(found.value >= WANTED for found in best)} attributes at AUC >= {WANTED}")


if __name__ == "__main__":
    main()
