"""The criterion: it owns all losses and their weights; the model owns none."""

import dataclasses
from typing import Any

import torch
from torch import Tensor

from mktn import losses
from mktn.engine.grounding import GroundingLoss
from mktn.engine.grounding.span import SpanLoss
from mktn.errors import UserError
from mktn.grouping.batch import PairBatch
from mktn.models.variants import Variant


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """Weights of the terms and the constants of Eqs. 2, 6 and 7; the paper gives none of them.

    w_span and w_float are of MKTN's own answer; other models have settings of theirs.
    """

    w_span: float = 1.0
    w_float: float = 0.5
    w_csm: float = 0.3
    w_proto: float = 0.3
    w_cl: float = 1.0
    phi_initial: float = 0.2
    phi_final: float = 0.7
    schedule: losses.Schedule = "cosine"
    temperature: float = 0.1
    q: float = 0.02
    lam: float = 0.04
    learnable: bool = False  # the printed behaviour: q and lambda learned
    printed_rince: bool = False  # Eqs. 6 and 7 without the power q of the positive term

    def __post_init__(self) -> None:
        if self.temperature <= 0 or not 0 < self.q <= 1 or not 0 < self.lam <= 1:
            raise ValueError(
                f"temperature {self.temperature} > 0, 0 < q {self.q} <= 1 and "
                f"0 < lam {self.lam} <= 1 must hold"
            )


class Criterion(torch.nn.Module):
    """Weighted sum of the answer's terms and, as far as the outputs have them, L_CL, L_1, L_csm.

    `variant`: of the knowledge transfer, None without it. `grounding`: the answer's terms; None
    are L_2 and L_3 of MKTN.
    """

    def __init__(
        self,
        config: LossConfig,
        variant: Variant | None,
        grounding: GroundingLoss | None = None,
    ) -> None:
        super().__init__()
        self.config, self.variant = config, variant
        self.grounding = grounding or SpanLoss(config.w_span, config.w_float)
        self.logits = None
        if variant is None:
            return
        if variant.threshold == config.schedule:
            raise UserError(
                "this ablation of the threshold is the configured threshold itself",
                where="losses.schedule",
                found=config.schedule,
                do="set losses.schedule to cosine, or leave the variant out",
            )
        self.schedule: losses.Schedule = variant.threshold or config.schedule
        learnable = config.learnable and (
            variant.objects in ("prototypes", "raw") or variant.activities is not None
        )
        # "Learnable" in the paper; with a degenerate minimum at lambda = 0, so off by default.
        shares = torch.tensor([config.q, config.lam]).clamp(max=1 - 1e-4)
        self.logits = torch.nn.Parameter(torch.logit(shares)) if learnable else None

    def forward(
        self, outputs: dict[str, Tensor], batch: PairBatch, progress: float
    ) -> dict[str, Tensor]:
        """Each term's unweighted value, `total`, and `negative_share` of AVM's candidates.

        progress in [0,1] is the share of the training that is done. Of a share of a batch they
        are this process's part: their sums over the processes are the values of the whole batch.
        """
        outputs = {name: value.float() for name, value in outputs.items()}
        config, terms = self.config, {}
        whole, part, of = batch, 1.0, None
        if batch.share is not None:
            # What each process computes of all videos and queries counts in equal parts.
            whole, part = batch.share.whole, 1.0 / batch.share.processes
            of = len(whole.video_index)
        total = batch.frames.new_zeros((), dtype=torch.float32)

        def add(name: str, weight: float, value: Tensor) -> None:
            nonlocal total
            terms[name] = value
            total = total + weight * value

        own = slice(None if batch.share is None else batch.share.own)
        for name, (weight, value) in self.grounding(outputs, batch, own, of).items():
            add(name, weight, value)
        if "csm_span" in outputs:
            frames = batch.frame_mask.sum(dim=1)[batch.video_index, None]
            target = (batch.span_frames() / frames)[own]
            add("csm", config.w_csm, losses.csm_span(outputs["csm_span"][own], target, of))
        if self.variant is None:
            terms["total"] = total
            return terms
        positive = whole.positive()
        matched = [outputs[name] for name in ("s_es", "s_op") if name in outputs]
        if matched:
            q, lam = self._rince()
            constants = (config.temperature, q, lam)
            aligned = losses.alignment(matched, positive, *constants, printed=config.printed_rince)
            add("proto", config.w_proto, part * aligned)
        if "s_avm" in outputs:
            contrast, share = self._contrast(outputs, whole, positive, self.variant, progress)
            add("cl", config.w_cl, part * contrast)
            terms["negative_share"] = part * share
        terms["total"] = total
        return terms

    def weights(self) -> dict[str, float]:
        """w_{term} of every term, of the answer and of the transfer."""
        own = {**vars(self.config), **vars(self.grounding)}
        return {
            name.removeprefix("w_"): value for name, value in own.items() if name.startswith("w_")
        }

    def threshold(self, progress: float) -> float | None:
        """phi of Eq. 2 at this share of the training; None where there is no AVM."""
        if self.variant is None or not self.variant.avm:
            return None
        config = self.config
        return losses.adaptive_threshold(
            progress, config.phi_initial, config.phi_final, self.schedule
        )

    def constants(self) -> dict[str, float]:
        """q and lambda of RINCE as they are now: learned, or as configured."""
        with torch.no_grad():
            q, lam = self._rince()
            return {"q": float(q), "lam": float(lam)}

    def _rince(self) -> tuple[Any, Any]:
        if self.logits is None:
            return self.config.q, self.config.lam
        q, lam = self.logits.sigmoid().unbind()
        return q, lam

    def _contrast(
        self,
        outputs: dict[str, Tensor],
        batch: PairBatch,
        positive: Tensor,
        variant: Variant,
        progress: float,
    ) -> tuple[Tensor, Tensor]:
        """L_CL with its adaptive negatives, and the share of candidates below the threshold."""
        config, similarity = self.config, outputs["s_avm"]
        phi = losses.adaptive_threshold(
            progress, config.phi_initial, config.phi_final, self.schedule
        )
        negative = losses.negatives(similarity, positive, phi)
        theta = losses.contrast_weight(
            outputs["avm_frames"], outputs["avm_words"], batch.video_index, negative
        )
        value = losses.contrastive(
            similarity,
            batch.video_index,
            negative,
            theta,
            phi,
            queries=variant.textual_contrast,
            videos=variant.visual_contrast,
        )
        return value, negative.sum() / (~positive).sum().clamp(min=1)
