"""Fig 1: the autoencoder."""

from pellucid.anomaly.verdict import COLUMN_LABELS
from pellucid.reproduction.context import Context
from pellucid.reproduction.diagram import Layer, autoencoder_figure, model_layers
from pellucid.reproduction.exhibit import Exhibit, Part, Table, photographs


def autoencoder(context: Context) -> Part:
    """Draw the very model, layer by layer, around one normal image that it was not trained on."""
    model, table = context.model(context.subject)
    encoder, decoder = model_layers(model)
    weights = sum(layer.weights for layer in encoder + decoder)
    objective = model.config.training["objective"]
    losses = " + ".join(COLUMN_LABELS[name] for name in objective["losses"])
    taken = model.config.training
    here = (
        f"The model of this report's {context.subject}: {len(encoder)} layers take an image of "
        f"{model.config.architecture.size} × {model.config.architecture.size} pixels apart into "
        f"{model.latents} latents, {len(decoder)} layers redraw it, {weights:,} weights in all. The drawing "
        "shows each layer's output: maps as tall as their side, vectors narrow.",
        f"Trained as a β-TCVAE (β = {objective['beta']:g}, reconstruction by {losses}) for "
        f"{taken['steps_taken']:,} steps; active latents: {len(table.active())} of {model.latents}.",
    )
    rows = tuple(
        _row(part, layer) for part, layers in (("encoder", encoder), ("decoder", decoder)) for layer in layers
    )
    picture = photographs(
        "autoencoder",
        "An image, the layers of the encoder, the code of its latents, the layers of the decoder, the "
        "reconstruction.",
        autoencoder_figure(model, context.judged.images[:1]),
    )
    exhibit = Exhibit(
        figures=(1,),
        title="The autoencoder",
        paper="The idea as a drawing: an encoder turns an image into a few numbers, a decoder redraws the "
        "image from these alone.",
        here=here,
        pictures=(picture,),
        tables=(
            Table(
                "Every layer with weights; between them are rectified linear units.",
                ("Part", "Layer", "Output", "Weights"),
                rows,
            ),
        ),
    )
    numbers = {
        "weights": weights,
        "latents": model.latents,
        "steps": taken["steps_taken"],
        "training_images": model.config.data["train"],
    }
    return Part("autoencoder", (exhibit,), numbers)


def _row(part: str, layer: Layer) -> tuple[str, ...]:
    return part, layer.kind, " × ".join(map(str, layer.shape)), f"{layer.weights:,}"
