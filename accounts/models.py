"""What is kept about people at all: when somebody was signed out, and when erased."""

from django.db import models


class SignOut(models.Model):
    """Tokens of one person that were issued before a moment are refused (`accounts.signout`).

    Staff's own, and nobody's to see over the API: no owner, and so no policy of row-level security. Whose
    it is tells only a keyed digest, not to keep ids of people who are gone.
    """

    person = models.CharField(max_length=32, primary_key=True)  # `digests_of`, in hexadecimal
    moment = models.BigIntegerField()  # seconds since the epoch, as `iat` is

    class Meta:
        indexes = [models.Index(fields=["moment"], name="sign_out_moment")]

    def __str__(self) -> str:
        return self.person


class Erasure(models.Model):
    """Somebody's data were erased, and their events have another epoch since (`accounts.erasures`).

    Staff's own, as the above. It keeps who came back from taking events of one history for those of another.
    """

    person = models.CharField(max_length=32, primary_key=True)  # `digests_of`, in hexadecimal
    epoch = models.CharField(max_length=32)
    moment = models.BigIntegerField()  # seconds since the epoch of clocks

    class Meta:
        indexes = [models.Index(fields=["moment"], name="erasure_moment")]

    def __str__(self) -> str:
        return self.person
