"""DIP-VAE: latents are independent only if they are uncorrelated, which two moments tell without a network.

Kumar, Sattigeri & Balakrishnan (2018, arXiv:1711.00848) add to the ELBO a price on the distance of a
covariance C of the latents from the identity, which is the prior's (eq. 6 and 7):

    L = reconstruction + KL + lambda_od sum_{i != j} C_ij^2 + lambda_d sum_i (C_ii - 1)^2

DIP-VAE-I takes C = Cov_p(x)[mu(x)], the spread of the posterior means over images; DIP-VAE-II takes
C = Cov_q(z)[z] = Cov_p(x)[mu(x)] + E_p(x)[Sigma(x)], the whole spread of the latents.

Both are computed on the batch, as everybody does. A covariance of B images is noisy, and its noise is
squared: d uncorrelated latents whose means have variance 1 still pay about lambda_od d (d - 1) / B on
average. With 32 latents, 64 images and lambda_od = 10 that is 155 nats; larger batches pay less.
"""

from jaxtyping import Float
from torch import Tensor

from pellucid.model.posterior import Posterior


def covariance_of_means(posterior: Posterior) -> Float[Tensor, "latent latent"]:
    """Compute Cov_p(x)[mu(x)], the covariance of the posterior means over images, divided by their number.

    Args:
        posterior: The encoder's output for a batch of images.
    """
    centred = posterior.mean - posterior.mean.mean(0)
    return centred.T @ centred / len(centred)


def covariance_of_latents(posterior: Posterior) -> Float[Tensor, "latent latent"]:
    """Compute Cov_q(z)[z] without sampling, by the law of total covariance: Cov[mu(x)] + E[Sigma(x)].

    Args:
        posterior: The encoder's output for a batch of images.
    """
    return covariance_of_means(posterior) + posterior.log_variance.exp().mean(0).diag()


def distance_from_identity(
    covariance: Float[Tensor, "latent latent"], *, off_diagonal: float, diagonal: float
) -> Float[Tensor, ""]:
    """Compute lambda_od sum_{i != j} C_ij^2 + lambda_d sum_i (C_ii - 1)^2 (arXiv:1711.00848, eq. 6 and 7).

    Each pair of latents counts twice, as in the paper's sum. 0 for the identity, never negative; in nats an
    image once weighed.

    Args:
        covariance: Symmetric.
        off_diagonal: lambda_od, the price of a squared covariance.
        diagonal: lambda_d, the price of a variance's squared distance from 1.
    """
    variances = covariance.diagonal()
    off = covariance - variances.diag()
    return off_diagonal * off.square().sum() + diagonal * (variances - 1).square().sum()
